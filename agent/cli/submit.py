"""`cld submit`: add data by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.changes import finish
from agent.cli.place import DryRun, Json, here

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(submit)


def submit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A file, or '-' for standard input.")],
    ending: Annotated[str, typer.Option("--format", help="What it holds, where no name tells: jsonl, md, ...")] = "",
    source: Annotated[str, typer.Option(help="Source whose folder receives it.")] = "inbox",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add data by hand: copy a file into a watched folder.

    It appears there whole, under a new name. The same content again counts as duplicate.
    """
    from agent.operators import inbox

    place = here(context)
    folder = inbox.destination(place.layout, place.config, source)
    with sys.stdin.buffer if file == "-" else inbox.open_regular(Path(file)) as data:
        name = inbox.file_name(file, ending)
        if dry_run:
            return finish("submit", source, "would_apply", f"{name} would be copied to {folder}", {}, as_json=as_json)
        path = inbox.submit(folder, data, name, place.config.intake.max_file_bytes)
    finish("submit", source, "applied", f"{path} waits to be read", {"path": str(path)}, as_json=as_json)
    return None
