"""`cld plan show|views`: what a cycle will learn, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import console, plan_rows, plan_view
from agent.cli.place import Json, here

__all__ = ["group"]

Rows = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most rows, new and rehearsed each.")]


def group() -> typer.Typer:
    """The commands below `cld plan`."""
    app = typer.Typer(help="Plans: what a cycle will learn, and why.", no_args_is_help=True)
    app.callback()(lambda: None)
    app.command()(show)
    app.command("views")(show_views)
    return app


def show(
    context: typer.Context,
    cycle: Annotated[str | None, typer.Argument(metavar="[CYCLE]", help="Id of a cycle; else the newest plan.")] = None,
    as_json: Json = False,
) -> None:
    """Show a plan: stage, method, settings, data, cost, reason, and the alternatives it beat."""
    from agent.reads import facts
    from agent.root.layout import check_id

    with here(context).store.read() as tx:
        found = facts.plan(tx, check_id(cycle)) if cycle else facts.newest_plan(tx)
    console.json_read(plan=found) if as_json else plan_view.plan(found)


def show_views(
    context: typer.Context,
    cycle: Annotated[str | None, typer.Argument(metavar="[CYCLE]", help="Id of a cycle; else the newest plan.")] = None,
    limit: Rows = 5,
    as_json: Json = False,
) -> None:
    """Show exactly what tokens a plan would train on: what is learned in brackets, the rest is only read.

    A worker process makes the rows as for training, from the plan's records, and rehearsed rows beside them.
    """
    from agent.reads import facts
    from agent.reads.plan_views import plan_views
    from agent.root.layout import check_id

    place = here(context)
    with place.store.read() as tx:
        asked = check_id(cycle) if cycle else facts.newest_plan(tx)["cycle"]
        found = plan_views(tx, place.layout, place.config, asked, limit)
    console.json_read(views=found) if as_json else plan_rows.rows(found)
