"""The daemon's log: one JSON line per event in logs/daemon.jsonl.

Each line has `event`, a sentence for people, and `action`, a name for machines. A log that cannot be written (a full
disk, a closed pipe) costs one warning on standard error, never the daemon. A full file becomes daemon.jsonl.1, in the
place of the one before: the log of months keeps its newest part, and what must last is in the store's events.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

import structlog

from agent.context import Log

__all__ = ["open_log"]

_MOST_BYTES = 50 * 10**6


def open_log(path: Path, level: str) -> Log:
    """A logger that appends to `path` what is at least as severe as `level`."""
    logger = structlog.wrap_logger(
        structlog.WriteLogger(cast(TextIO, _Forgiving(path))),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    return cast(Log, logger)


class _Forgiving:
    """Appends to a file, opened for each line so that it may be rotated away; says once that it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._warned = False

    def write(self, text: str) -> int:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
                full = file.tell() >= _MOST_BYTES
            if full:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            return len(text)
        except OSError as error:
            if not self._warned:
                self._warned = True
                with suppress(OSError, ValueError):  # standard error may lie on the same full disk
                    print(f"cld: {self._path} cannot be written ({error}); the daemon goes on", file=sys.stderr)  # noqa: T201
            return len(text)

    def flush(self) -> None:
        """Nothing is held back."""
