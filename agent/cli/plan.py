"""`cld plan show`: what a cycle will learn, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import console, views
from agent.cli.place import Json, here

__all__ = ["group"]


def group() -> typer.Typer:
    """The commands below `cld plan`."""
    app = typer.Typer(help="Plans: what a cycle will learn, and why.", no_args_is_help=True)
    app.callback()(lambda: None)
    app.command()(show)
    return app


def show(
    context: typer.Context,
    cycle: Annotated[str | None, typer.Argument(metavar="[CYCLE]", help="Id of a cycle; else the newest plan.")] = None,
    as_json: Json = False,
) -> None:
    """Show a plan: stage, method, settings, data, cost, reason, and the alternatives it beat."""
    from agent import facts
    from agent.layout import check_id

    with here(context).store.read() as tx:
        found = facts.plan(tx, check_id(cycle)) if cycle else facts.newest_plan(tx)
    console.json_read(plan=found) if as_json else views.plan(found)
