"""`cld methods list|show`: how cld can train."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import console, views
from agent.cli.place import Json

__all__ = ["group"]


def group() -> typer.Typer:
    """The commands below `cld methods`."""
    app = typer.Typer(help="Methods: how to train so that little is forgotten.", no_args_is_help=True)
    app.command("list")(list_methods)
    app.command()(show)
    return app


def list_methods(as_json: Json = False) -> None:
    """List the methods with the stages they can train."""
    from agent import facts

    rows = facts.methods()
    console.json_read(methods=rows) if as_json else views.methods(rows)


def show(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Name of a method, e.g. replay.")],
    as_json: Json = False,
) -> None:
    """Show a method: stages, what it is meant to teach, needs, cost, paper."""
    from agent import facts

    found = facts.method(method)
    console.json_read(method=found) if as_json else console.lines(method, found)
