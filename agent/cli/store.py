"""`cld backup`, `cld restore`: copies of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.changes import finish
from agent.cli.place import DryRun, Json, here

__all__ = ["add_to"]

File = Annotated[Path, typer.Argument(metavar="FILE", help="The copy.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(backup)
    app.command()(restore)


def backup(context: typer.Context, file: File, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Copy the database to a new file while the daemon works."""
    from agent.root.backups import back_up

    outcome, message = back_up(here(context).store, file, dry_run=dry_run)
    finish("backup", str(file), outcome, message, {}, as_json=as_json)


def restore(context: typer.Context, file: File, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Put a copy in the database's place.

    The daemon must be down; what was there is kept beside it.
    """
    from agent.root.backups import restore as put_back

    place = here(context)
    outcome, message, data = put_back(place.layout, place.config, file, dry_run=dry_run)
    finish("restore", str(place.layout.database), outcome, message, data, as_json=as_json)
