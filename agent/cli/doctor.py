"""`cld doctor`: what is missing on this machine."""

from __future__ import annotations

import typer

from agent.cli import console, views
from agent.cli.place import Json, here

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(doctor)


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Say what is missing on this machine and how to get it.

    Exit code 1 if anything failed.
    """
    from agent.root.doctor import examine, worst

    place = here(context)
    checks = examine(place.layout, place.config)
    rows = [check.as_dict() for check in checks]
    console.json_read(outcome=worst(checks), checks=rows) if as_json else views.checks(rows)
    raise typer.Exit(1 if worst(checks) == "fail" else 0)
