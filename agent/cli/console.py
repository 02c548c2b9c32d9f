"""The only place of the command line that prints, so that no data reaches a terminal unsanitised.

Records, model outputs, names and reasons are written by others and may hold terminal escapes: every human line passes
`clean`, which takes control characters, escape sequences and direction overrides out. JSON passes unchanged, since
its encoder escapes them. A test walks the syntax tree of the package and fails where anything prints around this
module.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from agent.errors import ConfigError, error_kind

__all__ = [
    "answer", "clean", "complain", "json_read", "json_value", "lines", "marked", "moment", "raw", "say", "short",
    "table",
]  # fmt: skip

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")


def clean(text: object) -> str:
    """`text` without escape sequences, control characters (but newline and tab) and direction overrides."""
    return _CONTROLS.sub("", _ESCAPES.sub("", str(text)))


def say(text: object, *, to_stderr: bool = False) -> None:
    """Print one human sentence."""
    _write(clean(text) + "\n", sys.stderr if to_stderr else sys.stdout)


def marked(pieces: Iterable[tuple[str, bool]]) -> None:
    """Print a text whose marked pieces stand in double brackets, and in colour on a terminal."""
    start, end = ("\x1b[32m", "\x1b[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    shown = (f"{start}\u27e6{clean(text)}\u27e7{end}" if mark else clean(text) for text, mark in pieces)
    _write("".join(shown) + "\n", sys.stdout)


def raw(text: str) -> None:
    """Print text that cld itself wrote for another program to read, such as a systemd unit."""
    _write(text, sys.stdout)


def lines(title: str, facts: Mapping[str, object]) -> None:
    """Print facts as aligned `name  value` lines; an empty title is left out, a None value shows as '-'."""
    if title:
        say(title)
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        say(f"  {name:<{width}}  {'-' if value is None else value}")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their column names, or the sentence `empty` where there are none."""
    cells = [[clean("-" if cell is None else cell) for cell in row] for row in rows]
    if not cells:
        say(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in cells:
        grid.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(file=sys.stdout, markup=False, highlight=False, emoji=False, width=width).print(grid)


def json_value(value: Any) -> None:
    """Print one JSON value on one line."""
    _write(json.dumps(value, default=_plain) + "\n", sys.stdout)


def json_read(**facts: Any) -> None:
    """Print the answer of a read: its facts and the moment they were read."""
    json_value({"as_of": datetime.now(UTC).isoformat(timespec="seconds"), **facts})


def answer(reply: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the answer of a change: {verb, target, outcome, message, data}."""
    if as_json:
        json_value(reply)
        return
    say(f"{str(reply['outcome']).replace('_', ' ')}: {reply['message']}", to_stderr=reply["outcome"] == "refused")


def complain(error: BaseException, *, as_json: bool) -> None:
    """Print why a command failed, to stderr; as JSON: {error: {kind, message, problems}}."""
    message = _message(error)
    if as_json:
        problems = {"problems": list(error.problems)} if isinstance(error, ConfigError) else {}
        _write(json.dumps({"error": {"kind": error_kind(error), "message": message, **problems}}) + "\n", sys.stderr)
        return
    say(f"cld: {message}", to_stderr=True)


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{str(error.filename)!r} cannot be read or written: {error.strerror}; `cld doctor` says what it lacks"
    return str(error) or (type(error).__doc__ or "").strip()


def moment(value: str | datetime | None) -> str | None:
    """A time as people read it: local, to the second. Text that is no time in ISO 8601 stays as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    return None if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short(text: str | None, most: int = 100) -> str:
    """A text on one line, cut to `most` characters."""
    text = " ".join((text or "").split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value)


def _write(text: str, stream: TextIO) -> None:
    stream.write(text.encode(stream.encoding or "utf-8", "replace").decode(stream.encoding or "utf-8"))
    stream.flush()
