"""`cld cycle run|list|show|abort`: turns of the loop."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import console, cycle_view
from agent.cli.changes import change
from agent.cli.place import DryRun, Json, Limit, Why, here

__all__ = ["group"]

CycleId = Annotated[str, typer.Argument(metavar="CYCLE", help="Id of a cycle, e.g. c7.")]
MaybeCycleId = Annotated[str | None, typer.Argument(metavar="[CYCLE]", help="Id of a cycle; else the one under way.")]


def group() -> typer.Typer:
    """The commands below `cld cycle`."""
    app = typer.Typer(help="Turns of the loop: run, list, show, abort.", no_args_is_help=True)
    for name, command in {"run": run, "list": list_cycles, "show": show, "abort": abort}.items():
        app.command(name)(command)
    return app


def run(context: typer.Context, why: Why = "an operator asked", dry_run: DryRun = False, as_json: Json = False) -> None:
    """Start a cycle now with what waits in the pool."""
    change(here(context), "cycle_run", why=why, dry_run=dry_run, as_json=as_json)


def list_cycles(context: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """List the newest cycles."""
    from agent.reads import facts

    with here(context).store.read() as tx:
        rows = facts.cycle_list(tx, limit)
    console.json_read(cycles=rows) if as_json else cycle_view.cycles(rows)


def show(context: typer.Context, cycle: CycleId, as_json: Json = False) -> None:
    """Show everything that happened in a cycle."""
    from agent.reads import facts
    from agent.root.layout import check_id

    with here(context).store.read() as tx:
        found = facts.cycle(tx, check_id(cycle))
    console.json_read(cycle=found) if as_json else cycle_view.cycle(found)


def abort(
    context: typer.Context,
    cycle: MaybeCycleId = None,
    why: Why = "an operator asked",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """End the cycle under way; its worker is stopped and its records wait again."""
    change(here(context), "cycle_abort", target=cycle, why=why, dry_run=dry_run, as_json=as_json)
