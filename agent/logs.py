"""The daemon's log: one JSON line per event in logs/daemon.jsonl.

Each line has `event`, a sentence for people, and `action`, a name for machines. A log that cannot be written (a full
disk, a closed pipe) costs one warning on standard error, never the daemon.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TextIO, cast

import structlog

from agent.context import Log

__all__ = ["open_log"]


def open_log(path: Path, level: str) -> Log:
    """A logger that appends to `path` what is at least as severe as `level`."""
    logger = structlog.wrap_logger(
        structlog.WriteLogger(cast(TextIO, _Forgiving(path))),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    return cast(Log, logger)


class _Forgiving:
    """A text file that says once that it cannot be written, and goes on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._path = path
        self._warned = False

    def write(self, text: str) -> int:
        try:
            return self._file.write(text)
        except OSError as error:
            self._warn(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            print(f"cld: {self._path} cannot be written ({error}); the daemon goes on", file=sys.stderr)  # noqa: T201
