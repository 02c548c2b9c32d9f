"""Watched folder: lists the regular files in it that have settled and were not read yet.

Owns the settling rule and what is left out. Never opens, moves, renames or deletes a file, and remembers nothing
across restarts: which files were read is the caller's ledger (`known`), so a file that changes is listed again and
only its new records count. Called by the daemon on its monotonic loop; one scan is one walk of `lstat` calls.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from monitors.sources.files import FileStamp, Known, SettledFile, stamp_of

__all__ = ["FolderSource", "create"]

_TEMPORARY_PREFIXES = (".", "~", "#")
_TEMPORARY_SUFFIXES = ("~", "#", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".filepart",
                       ".swp", ".swx", ".swo", ".lock", ".bak")  # fmt: skip
_REFUSED_SHOWN = 100


class FolderSource:
    """Files of one folder and its subfolders.

    Hidden and temporary names (`.x`, `x~`, `x.part`, ...) are left out without a word; links, FIFOs, sockets,
    devices and names that cannot be printed are left out and named in `refused`.

    Args:
        path: the folder; links in the path to it are resolved once, here.
        settle_seconds: how long size and modification time must stay the same, on the caller's monotonic clock.
        max_depth: subfolder levels below `path` that are entered.
        max_entries: directory entries looked at in one scan; what lies beyond is named in `refused`.
        max_settled: files returned by one scan; the others come with the next one, oldest first.

    Attributes:
        refused: path to reason, of the last scan; for people (at most 100 entries).
    """

    def __init__(
        self,
        path: Path,
        *,
        settle_seconds: float = 2.0,
        max_depth: int = 8,
        max_entries: int = 20_000,
        max_settled: int = 256,
    ) -> None:
        self.path = path.resolve()
        self.settle_seconds = settle_seconds
        self.max_depth = max_depth
        self.max_entries = max_entries
        self.max_settled = max_settled
        self.refused: dict[str, str] = {}
        self._since: dict[str, tuple[FileStamp, float]] = {}

    def scan(self, known: Known, now_monotonic: float) -> list[SettledFile]:
        """List files that have settled and differ from the ledger.

        Args:
            known: looks up the stamps that files had when they were read.
            now_monotonic: seconds of `time.monotonic()`.

        Returns:
            Oldest first. A file must be seen unchanged by two scans at least `settle_seconds` apart.
        """
        self.refused = {}
        since: dict[str, tuple[FileStamp, float]] = {}
        settled: list[SettledFile] = []
        files = dict(self._files())
        ledger = known(files.keys())
        for path, stamp in files.items():
            if ledger.get(path) == stamp:
                continue
            before, start = self._since.get(path, (stamp, now_monotonic))
            since[path] = (stamp, start if before == stamp else now_monotonic)
            if path in self._since and now_monotonic - since[path][1] >= self.settle_seconds:
                settled.append(SettledFile(Path(path), stamp))
        self._since = since
        settled.sort(key=lambda file: (file.stamp.mtime_ns, str(file.path)))
        return settled[: self.max_settled]

    def _files(self) -> Iterator[tuple[str, FileStamp]]:
        seen = 0
        folders = [(str(self.path), 0)]
        while folders:
            folder, depth = folders.pop()
            for entry in self._entries(folder):
                seen += 1
                if seen > self.max_entries:
                    self._refuse(folder, f"the folder holds more than {self.max_entries} entries: the rest is not "
                                 "looked at; move files that were read out of it")  # fmt: skip
                    return
                status = self._status(entry, depth)
                if status is None:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    folders.append((entry.path, depth + 1))
                else:
                    yield entry.path, stamp_of(status)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                # One more than the cap is enough to notice it; a flood is never held in memory whole.
                found = [entry for entry, _ in zip(entries, range(self.max_entries + 1), strict=False)]
        except OSError as error:
            self._refuse(folder, f"the folder cannot be listed ({error.strerror}); create it or fix its mode")
            return []
        return sorted((entry for entry in found if not _temporary(entry.name)), key=lambda entry: entry.name)

    def _status(self, entry: os.DirEntry[str], depth: int) -> os.stat_result | None:
        """The entry's own status if it is to be listed or entered, else None."""
        if not _printable(entry.name):
            return self._refuse(entry.path, "its name has control characters or is not valid UTF-8; rename it")
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._refuse(entry.path, f"it cannot be looked at ({error.strerror})")
        if stat.S_ISREG(status.st_mode) or (stat.S_ISDIR(status.st_mode) and depth < self.max_depth):
            return status
        if stat.S_ISDIR(status.st_mode):
            return self._refuse(entry.path, f"it lies deeper than {self.max_depth} folders")
        return self._refuse(entry.path, "only regular files are read, no links, FIFOs, sockets or devices")

    def _refuse(self, path: str, reason: str) -> None:
        if len(self.refused) < _REFUSED_SHOWN:
            shown = path.encode("utf-8", "backslashreplace").decode()
            self.refused["".join(char if char.isprintable() else "?" for char in shown)] = reason


def create(path: Path, settle_seconds: float) -> FolderSource:
    """The source of a `[sources.NAME]` section of kind `folder`."""
    return FolderSource(path, settle_seconds=settle_seconds)


def _temporary(name: str) -> bool:
    return name.startswith(_TEMPORARY_PREFIXES) or name.lower().endswith(_TEMPORARY_SUFFIXES)


def _printable(name: str) -> bool:
    # Cs: an undecodable byte (surrogateescape); Cc, Cf: what could rewrite the line it is shown on.
    return not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name)
