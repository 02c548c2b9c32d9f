"""The application: the options before the command, the list of commands, and what becomes of errors."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from agent.cli import (
    config,
    console,
    cycle,
    daemon,
    data,
    demo,
    doctor,
    forget,
    history,
    init,
    methods,
    plan,
    probe,
    service,
    store,
    submit,
    values,
    version,
)  # fmt: skip
from agent.cli.place import Place
from agent.errors import exit_code

__all__ = ["application", "main"]

_GROUPS: Final = {
    "cycle": cycle, "plan": plan, "history": history, "probe": probe, "config": config, "methods": methods,
    "data": data, "values": values, "forget": forget,
}  # fmt: skip
_COMMANDS: Final = (init, daemon, submit, version, doctor, service, store, demo)


def application() -> typer.Typer:
    """The typer application: every noun's commands below one callback."""
    app = typer.Typer(
        name="cld",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(_options)
    for module in _COMMANDS:
        module.add_to(app)
    for name, module in _GROUPS.items():
        app.add_typer(module.group(), name=name)
    return app


@cache
def _command() -> Callable[..., Any]:
    """What runs the application's words; building all commands takes longer than most of them."""
    return get_command(application())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: words after `cld`; those of this process when None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _command()(words, prog_name="cld", standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        console.complain(error, as_json="--json" in words)
        return code
    return 0


def _options(
    context: typer.Context,
    root: Annotated[Path | None, typer.Option(help="Data root; else CLD_ROOT, else the current folder.")] = None,
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who gives the command.")] = None,
) -> None:
    """cld learns continually: it watches data, finds what a language model does not know, trains, measures, and
    promotes the result, rolls it back, or asks a person.

    Begin with `cld init FOLDER`, then `cld --root FOLDER start`; `cld demo` shows everything on a small model.
    """
    context.obj = Place(root, name or _account())


def _account() -> str:
    """Name of the operating system's account; its number where it has no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
