"""`cld probe run|list`: what is measured."""

from __future__ import annotations

import typer

from agent.cli import console, views
from agent.cli.changes import change
from agent.cli.place import DryRun, Json, Why, here

__all__ = ["group"]


def group() -> typer.Typer:
    """The commands below `cld probe`."""
    app = typer.Typer(help="Probes: what is measured.", no_args_is_help=True)
    app.command("run")(run)
    app.command("list")(list_suites)
    return app


def run(context: typer.Context, why: Why = "an operator asked", dry_run: DryRun = False, as_json: Json = False) -> None:
    """Measure the serving version on all suites; the daemon does it when no cycle works."""
    change(here(context), "probe_run", why=why, dry_run=dry_run, as_json=as_json)


def list_suites(context: typer.Context, as_json: Json = False) -> None:
    """List the suites that are measured, with role, size and file."""
    from agent import facts

    place = here(context)
    rows = facts.suites(place.layout, place.config)
    console.json_read(suites=rows) if as_json else views.suites(rows)
