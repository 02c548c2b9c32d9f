"""Files that survive power loss, and folders whose contents can be proven.

Owns how the project writes: a file appears whole or not at all, and a folder is complete when its `manifest.json`
(size and SHA-256 of every file), written last, is there. Never repairs, never deletes what it did not write, never
opens a path that came from a manifest. Called by the daemon and by every worker; imports no torch.

Covered: kill -9 at any instruction, power loss on a file system that honours fsync, bit rot, truncation, added,
removed or replaced files. Not covered: an attacker who can rewrite folder and manifest together, unless the caller
passes the digest that it recorded elsewhere.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = [
    "MANIFEST", "DamagedFolder", "FileEntry", "IncompleteFolder", "Manifest", "file_digest", "publish",
    "read_manifest", "verify", "write_atomic", "write_manifest",
]  # fmt: skip

MANIFEST = "manifest.json"

_NO_HARD_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


class IncompleteFolder(Exception):
    """A folder has no readable manifest: whoever wrote it did not finish."""


class DamagedFolder(Exception):
    """A folder is not what its manifest, or the digest recorded for it, says.

    Attributes:
        folder: the folder that was checked.
        file: path below it that differs.
        expected, found: what should be there and what is.
    """

    def __init__(self, folder: Path, file: str, expected: str, found: str) -> None:
        super().__init__(
            f"folder {str(folder)!r} is damaged: {file!r} should be {expected}, found {found}; a complete folder never "
            "changes, so restore it from a backup or use another version"
        )
        self.folder, self.file, self.expected, self.found = folder, file, expected, found


class FileEntry(BaseModel):
    """Size and SHA-256 (hex) of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """Contents of `manifest.json`: every file below the folder, by its relative POSIX path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, FileEntry]


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a regular file.

    Raises:
        OSError: it is missing, unreadable or a symbolic link.
    """
    return _read_entry(path, sync=False).sha256


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data` so that any reader, and any crash, sees the old file or the new one.

    Raises:
        OSError: nothing was replaced; the temporary file is removed.
    """
    payload = data.encode() if isinstance(data, str) else data
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_manifest(folder: Path, at: Path | None = None) -> str:
    """Declare `folder` complete: hash and fsync every file below it, then write the manifest.

    Args:
        folder: its files must not change any more.
        at: where the manifest goes, `folder/manifest.json` unless told.

    Returns:
        The folder's digest: SHA-256 (hex) of the manifest's bytes.

    Raises:
        DamagedFolder: something below is neither a regular file nor a folder.
        OSError: reading or syncing failed; there is no manifest then.
    """
    target = at or folder / MANIFEST
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        leftover.unlink()
    files = {name: _read_entry(path, sync=True) for name, path in _files(folder, target)}
    for inner in _folders(folder):
        _sync_folder(inner)
    data = Manifest(files=dict(sorted(files.items()))).model_dump_json(indent=1).encode()
    write_atomic(target, data)
    return hashlib.sha256(data).hexdigest()


def read_manifest(folder: Path, at: Path | None = None) -> Manifest:
    """The manifest of a complete folder; its files are not looked at.

    Raises:
        IncompleteFolder: there is none, or it is not one.
    """
    return _parse(folder, _manifest_bytes(folder, at or folder / MANIFEST))


def verify(folder: Path, expected_digest: str | None = None, at: Path | None = None) -> Manifest:
    """Read every byte of a complete folder and compare it with its manifest.

    Args:
        expected_digest: what `write_manifest` returned, kept elsewhere; finds a manifest that was edited to match.
        at: where the manifest lies, `folder/manifest.json` unless told.

    Raises:
        IncompleteFolder: no valid manifest.
        DamagedFolder: a file is missing, added, a link or not a file, or differs in size or hash; or the digest does.
    """
    target = at or folder / MANIFEST
    data = _manifest_bytes(folder, target)
    digest = hashlib.sha256(data).hexdigest()
    if expected_digest is not None and digest != expected_digest:
        raise DamagedFolder(folder, target.name, f"of digest {expected_digest}", f"digest {digest}")
    manifest = _parse(folder, data)
    present = dict(_files(folder, target))
    for name in sorted(present.keys() ^ manifest.files.keys()):
        listed = name in manifest.files
        raise DamagedFolder(folder, name, "a file" if listed else "absent", "nothing" if listed else "a file")
    for name, expected in manifest.files.items():
        _compare(folder, name, expected, present[name])
    return manifest


def publish(staging: Path, final: Path) -> str:
    """Make the complete folder `staging` appear as `final`, whole or not at all.

    The files are hard links where the file system has them (copies elsewhere), so `staging` stays a complete folder
    and costs no second space. May be repeated after any crash.

    Returns:
        The digest, equal for both.

    Raises:
        IncompleteFolder, DamagedFolder: `staging` is not complete, or `final` exists and is something else.
    """
    if final.exists() and not (staging / MANIFEST).exists():
        verify(final)
        return file_digest(final / MANIFEST)
    verify(staging)
    digest = file_digest(staging / MANIFEST)
    if final.exists():
        verify(final, digest)
        return digest
    transit = final.parent / f".{final.name}.publishing"
    shutil.rmtree(transit, ignore_errors=True)
    shutil.copytree(staging, transit, copy_function=_link_or_copy)
    for inner in _folders(transit):
        _sync_folder(inner)
    transit.rename(final)
    _sync_folder(final.parent)
    return digest


def _manifest_bytes(folder: Path, manifest: Path) -> bytes:
    try:
        descriptor = os.open(manifest, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise IncompleteFolder(f"folder {str(folder)!r} has no {manifest.name}: it was never finished") from None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _parse(folder: Path, data: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise IncompleteFolder(f"the manifest of {str(folder)!r} cannot be read: {error}") from error


def _compare(folder: Path, name: str, expected: FileEntry, path: Path) -> None:
    size_bytes = path.lstat().st_size
    if size_bytes != expected.size_bytes:
        raise DamagedFolder(folder, name, f"{expected.size_bytes} bytes", f"{size_bytes} bytes")
    found = _read_entry(path, sync=False)
    if found != expected:
        raise DamagedFolder(folder, name, f"of SHA-256 {expected.sha256}", f"SHA-256 {found.sha256}")


def _read_entry(path: Path, sync: bool) -> FileEntry:
    """Hash a file, never through a link; with `sync`, also put it on the disk."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if sync:
            os.fsync(file.fileno())
        return FileEntry(size_bytes=file.tell(), sha256=digest)


def _files(folder: Path, manifest: Path) -> Iterator[tuple[str, Path]]:
    """Every file below, by relative path; links, devices, pipes and sockets are refused."""
    for parent in _folders(folder):
        for entry in _entries(parent):
            path = Path(entry.path)
            name = path.relative_to(folder).as_posix()
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                if path != manifest:
                    yield name, path
            elif not stat.S_ISDIR(mode):
                raise DamagedFolder(folder, name, "a regular file", "a link or special file")


def _folders(folder: Path) -> Iterator[Path]:
    """The folder and all below it, deepest first, not through links."""
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _folders(Path(entry.path))
    yield folder


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        shutil.copy2(source, target)
        with Path(target).open("rb") as copy:
            os.fsync(copy.fileno())
