"""`cld demo`: the whole loop on a small real model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(demo)


def demo(
    folder: Annotated[Path, typer.Option(help="The demo's data root; made anew.")] = Path("demo-root"),
    report: Annotated[Path, typer.Option(help="Where the result is written.")] = Path("demo-report.json"),
) -> None:
    """Run the whole loop on a small real model.

    About a quarter of an hour on two CPU cores. Exit code 1 if an ending was not the right one.
    """
    from agent.demo.run import run

    raise typer.Exit(run(folder, report))
