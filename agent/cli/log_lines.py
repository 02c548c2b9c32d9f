"""Reads the daemon's log for `cld logs`: the last lines, then those that come."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
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
    with ExitStack() as opened:
        file = opened.enter_context(_open(path))
        yield from map(_parsed, deque(file, maxlen=last))
        while follow:
            yield from map(_parsed, _until_replaced(file, path))
            file = opened.enter_context(_open(path))


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8", errors="replace")


def _until_replaced(file: TextIO, path: Path) -> Iterator[str]:
    """Each new whole line, until the file was cut, or another took its place and all of this one was read."""
    text, replaced = "", False
    while True:
        text += file.readline()
        if text.endswith("\n"):
            yield text
            text = ""
        elif replaced:
            return
        else:
            replaced = _is_replaced(file, path)
            time.sleep(0.0 if replaced else _POLL_SECONDS)


def _is_replaced(file: TextIO, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:  # the next line makes it
        return False
    return not os.path.samestat(os.fstat(file.fileno()), there) or there.st_size < file.tell()


def _parsed(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"event": line.rstrip("\n")}  # pyright: ignore[reportUnknownVariableType]
