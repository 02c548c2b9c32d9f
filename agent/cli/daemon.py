"""`cld start`, `stop`, `status`, `logs`, `pause`, `resume`: the daemon's life."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import console, views
from agent.cli.changes import change, finish
from agent.cli.place import DryRun, Json, Set, Why, here

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (start, stop, status, logs, pause, resume):
        app.command()(command)


def start(
    context: typer.Context,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Do not detach: for systemd and containers.")
    ] = False,
    overrides: Set = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Start the daemon of a data root."""
    from agent.cli.lifecycle import start_background, start_foreground

    place = here(context)
    if foreground and not dry_run:
        raise typer.Exit(start_foreground(place, overrides or []))
    finish("start", *start_background(place, overrides or [], dry_run=dry_run), as_json=as_json)


def stop(
    context: typer.Context,
    now: Annotated[bool, typer.Option("--now", help="End workers at once instead of at their checkpoint.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Stop the daemon; a cycle under way goes on at the next start."""
    from agent.cli.lifecycle import stop_daemon

    finish("stop", *stop_daemon(here(context), now=now, dry_run=dry_run), as_json=as_json)


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show what serves, what is under way and what is held up.

    A pause comes with its reason and the command that resumes.
    """
    from agent.reads.glance import glance, quick_glance

    place = here(context)
    facts = quick_glance(place.layout) or glance(place.layout, place.store)
    if as_json:
        console.json_read(root=str(place.layout.root), **facts)
    else:
        views.status(str(place.layout.root), facts)


def logs(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come; end with Ctrl-C.")] = False,
    last: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines from the end.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the daemon's log."""
    from agent.cli.log_lines import read_log

    for line in read_log(here(context).layout.log_file, last, follow=follow):
        console.json_value(line) if as_json else views.log_line(line)


def pause(
    context: typer.Context, why: Why = "an operator asked", dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Let no new step start; the job under way is finished."""
    change(here(context), "pause", why=why, dry_run=dry_run, as_json=as_json)


def resume(
    context: typer.Context, why: Why = "an operator asked", dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Lift every pause; the breaker counts afresh."""
    change(here(context), "resume", why=why, dry_run=dry_run, as_json=as_json)
