"""Writes the pages that describe the program from the program itself: `python docs/generate.py` (or `make docs`).

    docs/configuration.md   from the field descriptions of agent/config
    docs/cli.md             from the commands' own help and the table of exit codes in agent/errors.py
    docs/choosing.md        from the table of methods and the results in benchmarks/results/methods

A test fails while a committed page differs from what this writes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

_DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(_DOCS.parent))

from typer.main import get_command  # noqa: E402

from agent.cli.main import application  # noqa: E402
from agent.errors import EXIT_CODES  # noqa: E402
from agent.root.settings_text import reference  # noqa: E402
from benchmarks.methods import choosing, published  # noqa: E402
from learners.methods import methods  # noqa: E402

__all__ = ["pages"]

_HEAD = """\
# The command line

<!-- Written by docs/generate.py from agent/cli: change the docstrings and help texts there. -->

Every read takes `--json` and answers one JSON value with `as_of`, the moment it was read; `cld methods list` answers a
plain list and `cld logs` an object a line. Every change answers `{verb, target, outcome, message, data}`; `outcome` is
`applied`, `would_apply` (with `--dry-run`), `already`, `refused` or `queued` (a busy daemon will take it up). Changes
are safe to repeat. Errors go to standard error, with `--json` as `{error: {kind, message}}`; `kind` is the class in
`agent/errors.py` in snake case.

Changes are rows in the database: a running daemon executes them, and without one the command does so itself. So every
command works with the daemon down, except that `cld probe run` waits for it.

## Exit codes

| code | meaning |
|---|---|
"""


def pages() -> dict[Path, str]:
    """The text of every generated page, by its path."""
    return {
        _DOCS / "configuration.md": reference(),
        _DOCS / "cli.md": _command_line(),
        _DOCS / "choosing.md": choosing.page(methods(), published.published(published.folder(_DOCS / "benchmarks.md"))),
    }


def _command_line() -> str:
    rows = "".join(f"| {code} | {'; '.join(meanings)} |\n" for code, meanings in sorted(_codes().items()))
    root = get_command(application())
    return f"{_HEAD}{rows}\n## Options before the command\n\n{_parameters(root)}{''.join(_commands(root, 'cld'))}"


def _codes() -> dict[int, list[str]]:
    codes = {1: ["a fault of cld itself: please report it with the traceback"]}
    for code, meaning in EXIT_CODES.values():
        codes.setdefault(code, []).append(meaning)
    return codes


def _commands(group: Any, prefix: str) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        words = f"{prefix} {name}"
        if getattr(command, "invoke_without_command", True):
            yield f"\n## `{words}{_arguments(command)}`\n\n{_help(command)}\n\n{_parameters(command)}"
        if hasattr(command, "commands"):
            yield from _commands(command, words)


def _arguments(command: Any) -> str:
    return "".join(f" {_metavar(p)}" for p in command.params if p.param_type_name == "argument")


def _metavar(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _help(command: Any) -> str:
    return " ".join((command.help or "").split())


def _parameters(command: Any) -> str:
    rows = [row for parameter in command.params if parameter.name != "help" and (row := _row(parameter))]
    return f"| option | meaning |\n|---|---|\n{''.join(rows)}" if rows else ""


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{_cell(_metavar(parameter))}` | {_cell(parameter.help)} |\n"
    default = parameter.default
    told = f" Default: `{default}`." if isinstance(default, (str, int, Path)) and not isinstance(default, bool) else ""
    kind = parameter.type_descriptor.annotation
    closed = "|".join(get_args(kind)) if get_origin(kind) is Literal else ""
    value = "" if parameter.is_flag else f" {parameter.metavar or closed or parameter.name.upper()}"
    option = _cell(f"{', '.join(parameter.opts)}{value}")
    return f"| `{option}` | {_cell(parameter.help)}{told if str(default) else ''} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
