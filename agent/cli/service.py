"""`cld service`: the systemd unit."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import console
from agent.cli.place import here

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(service)


def service(
    context: typer.Context,
    user: Annotated[str | None, typer.Option(help="Account that the daemon runs as; else the calling one.")] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Leave the machine's devices visible.")] = False,
) -> None:
    """Print a hardened systemd unit for this data root."""
    from agent.daemon.service import unit

    console.raw(unit(here(context).layout, user=user, gpu=gpu))
