"""`cld init`: make a data root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.changes import finish
from agent.cli.place import DryRun, Json, here

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("init")(init)


def init(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="The new data root; else --root, CLD_ROOT, this folder.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make a data root: folders, cld.toml and an empty database.

    Nothing that is there already is changed.
    """
    from agent.root.founding import found
    from agent.root.layout import Layout

    layout = Layout(folder or here(context).root or Path(os.environ.get("CLD_ROOT") or "."))
    made = found(layout, dry_run=dry_run)
    outcome = ("would_apply" if dry_run else "applied") if made else "already"
    message = f"{layout.root} is a data root; put files into {layout.inbox} and run `cld --root {layout.root} start`"
    finish("init", str(layout.root), outcome, message, {"made": made}, as_json=as_json)
