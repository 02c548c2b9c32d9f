"""Sources: places watched for data.

Owns the table of source kinds and the `Source` protocol. A source only says which files are ready to be read; the
daemon asks it, and hands the files to an intake job. Nothing here parses, trains or imports torch.

To add a kind: one module with a `create(path, settle_seconds)` function, and its line in `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from monitors.sources.files import FileStamp, Known, NotRegularFile, SettledFile, open_regular

__all__ = ["SOURCES", "FileStamp", "Known", "NotRegularFile", "SettledFile", "Source", "open_regular", "open_source"]

SOURCES: Final[Mapping[str, str]] = {
    "folder": "monitors.sources.folder",
}


class Source(Protocol):
    """A place watched for data."""

    refused: dict[str, str]

    def scan(self, known: Known, now_monotonic: float) -> list[SettledFile]:
        """List files that are ready and differ from the ledger that `known` looks them up in."""
        ...


class _Module(Protocol):
    def create(self, path: Path, settle_seconds: float) -> Source: ...


def open_source(kind: str, path: Path, *, settle_seconds: float = 2.0) -> Source:
    """Make the source of a configured kind.

    Raises:
        ValueError: `kind` is not in `SOURCES`.
    """
    if kind not in SOURCES:
        raise ValueError(f"source kind {kind!r} is unknown: known are {sorted(SOURCES)}; fix [sources.NAME] kind")
    return cast(_Module, import_module(SOURCES[kind])).create(path, settle_seconds)
