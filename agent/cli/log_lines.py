"""Reads the daemon's log for `cld logs`: the last lines, then those that come."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from agent.errors import NotFound

__all__ = ["read_log"]

_POLL_SECONDS = 0.25


def read_log(path: Path, last: int, *, follow: bool) -> Iterator[dict[str, Any]]:
    """Yield the last lines of a log, then, if asked to follow, each new one; a line that is no JSON becomes an event.

    Raises:
        NotFound: there is no log yet.
    """
    if not path.exists():
        raise NotFound(f"there is no log at {str(path)!r} yet: the daemon never ran here; `cld start`")
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from map(_parsed, deque(file, maxlen=last))
        while follow:
            line = _whole_line(file, path)
            yield _parsed(line)


def _whole_line(file: TextIO, path: Path) -> str:
    text = ""
    while not text.endswith("\n"):
        text += file.readline()
        if not text.endswith("\n"):
            time.sleep(_POLL_SECONDS)
            if path.exists() and path.stat().st_size < file.tell():
                file.seek(0, os.SEEK_SET)
    return text


def _parsed(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"event": line.rstrip("\n")}  # pyright: ignore[reportUnknownVariableType]
