"""Files of a watched place: how one is named, stamped, and opened without being led elsewhere.

Owns `FileStamp`, `SettledFile` and `open_regular`, the only way this project opens a file that it does not own.
Never lists folders (`folder` does) and never parses (`monitors.intake` does).

Covered: links in any component of the path, FIFOs, sockets, devices and folders, also when one of them takes the
file's place between listing and opening. Not covered: a hard link to a file that the daemon may read, and a change
of content that keeps both size and modification time.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["FileStamp", "Known", "NotRegularFile", "SettledFile", "open_regular", "stamp_of"]

_WALK = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
# O_NONBLOCK: opening a FIFO that nobody writes to must return, so that the check after it can refuse it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class NotRegularFile(OSError):
    """The path is not, or is no longer, a regular file reached without links."""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells one state of a file from another without reading it."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A regular file that nobody has changed for the settling time; `path` is absolute and free of links."""

    path: Path
    stamp: FileStamp


Known = Callable[[Collection[str]], Mapping[str, FileStamp]]
"""Looks absolute paths up in the ledger of what was read: the stamp that each had then, of those that it knows.

Only files that are there are asked for: the ledger is of every file that ever was.
"""


def stamp_of(status: os.stat_result) -> FileStamp:
    """The stamp in a `stat` answer."""
    return FileStamp(status.st_size, status.st_mtime_ns)


def open_regular(path: Path) -> BinaryIO:
    """Open an absolute path for reading, following no link in any of its components.

    Raises:
        NotRegularFile: a component is a link, or the file is a FIFO, socket, device or folder.
        FileNotFoundError, PermissionError: as `open` would.
        ValueError: the path is relative or has a `..` component.
    """
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{str(path)!r} cannot be opened: an absolute path without '..' is required")
    folder = os.open(path.anchor, _WALK)
    try:
        for name in path.parts[1:-1]:
            inner = _open_at(name, _WALK, folder, path)
            os.close(folder)
            folder = inner
        return _open_leaf(path, folder)
    finally:
        os.close(folder)


def _open_leaf(path: Path, folder: int) -> BinaryIO:
    # Looking before opening keeps a device from being opened at all; the look after it settles races.
    _require_regular(os.stat(path.name, dir_fd=folder, follow_symlinks=False), path)
    descriptor = _open_at(path.name, _READ, folder, path)
    try:
        _require_regular(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _open_at(name: str, flags: int, folder: int, path: Path) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        # ELOOP, ENOTDIR: a link where a folder or file was; ENXIO: a socket or a FIFO without its other end.
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise NotRegularFile(f"{str(path)!r} is not read: {name!r} in it is a link or no regular file") from error
        raise


def _require_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = stat.filemode(status.st_mode)[0]
        raise NotRegularFile(f"{str(path)!r} is not read: only regular files are, and this one's type is {kind!r}")
