"""Puts data into a watched folder by hand: `cld submit`.

Owns the naming and the atomic writing: the file appears whole, under a name no other has, so that the watching daemon
never reads half of it. It does not parse: what is wrong in a file is found, and named line by line, by intake.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from agent.config import Config
from agent.errors import InvalidValue, NotFound, Refused
from agent.root.layout import Layout

__all__ = ["FORMATS", "destination", "file_name", "open_regular", "submit"]

FORMATS = ("jsonl", "csv", "txt", "md", "html", "pdf", "docx", "parquet")
"""Endings that intake reads, for data from standard input."""


def destination(layout: Layout, config: Config, source: str) -> Path:
    """The folder of a source.

    Raises:
        NotFound: no such source, or its folder is not there.
    """
    if source not in config.sources:
        raise NotFound(f"{source!r} is no source; cld.toml has {', '.join(sorted(config.sources))}")
    folder = layout.root / config.sources[source].path
    if not folder.is_dir():
        raise NotFound(f"the folder {str(folder)!r} of source {source!r} is not there; make it: mkdir -p {folder}")
    return folder


def file_name(file: str, ending: str) -> str:
    """Name under which data is kept: the file's own, or `stdin` with the ending that was named.

    Raises:
        InvalidValue: the format is not one that intake reads, or standard input came without one.
    """
    wanted = ending or Path(file).suffix.lower().removeprefix(".")
    if wanted not in FORMATS:
        what = f"{wanted!r} is no format that cld reads" if wanted else f"{file!r} does not say what it holds"
        raise InvalidValue(f"{what}; name one with --format: {', '.join(FORMATS)}")
    return f"{'stdin' if file == '-' else Path(file).stem}.{wanted}"


def submit(folder: Path, data: BinaryIO, name: str, most_bytes: int) -> Path:
    """Write `data` into `folder` under a new name that ends as `name` does.

    Raises:
        Refused: the data is empty, or larger than [intake] max_file_bytes.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=".submit-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(_Capped(data, most_bytes), file)  # pyright: ignore[reportArgumentType]
            if file.tell() == 0:
                raise Refused(f"{name!r} is empty: there is nothing to learn from it")
            file.flush()
            os.fsync(file.fileno())
        return _link(Path(temporary), folder, name)
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        NotFound: it is not there. Refused: it is a folder, a device or a pipe.
    """
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"there is no file {str(path)!r}") from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        os.close(descriptor)
        raise Refused(
            f"{str(path)!r} is a folder: submit its files one by one, or watch it: [sources.NAME] path in cld.toml"
        )
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise Refused(f"{str(path)!r} is no regular file; pipe it instead: cld submit - --format jsonl < {path}")
    return os.fdopen(descriptor, "rb")


class _Capped:
    """Reads a stream and refuses at the first byte too many."""

    def __init__(self, data: BinaryIO, most_bytes: int) -> None:
        self._data, self._left, self._most = data, most_bytes, most_bytes

    def read(self, size: int = -1) -> bytes:
        chunk = self._data.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise Refused(
                f"the data is larger than [intake] max_file_bytes = {self._most}; split it or raise the limit"
            )
        return chunk


def _link(temporary: Path, folder: Path, name: str) -> Path:
    """Give the finished file its name; a name that exists is never replaced, and names of data are not trusted."""
    stem, suffix = Path(name).stem, Path(name).suffix.lower()
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:80] or "submitted"
    for final in (folder / candidate for candidate in _names(safe, re.sub(r"[^a-z0-9.]", "", suffix))):
        with suppress(FileExistsError):
            os.link(temporary, final)
            return final
    raise Refused(f"{folder} holds too many files named like {name!r}")


def _names(stem: str, suffix: str) -> Iterable[str]:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    yield f"{stem}-{stamp}{suffix}"
    yield from (f"{stem}-{stamp}-{number}{suffix}" for number in range(2, 1000))
