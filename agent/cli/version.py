"""`cld approve`, `reject`, `promote`, `rollback`, `pin`, `unpin`: a person's word on plans and versions; `version`."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import console
from agent.cli.changes import change
from agent.cli.place import DryRun, Json, Why, here

__all__ = ["add_to"]

Cycle = Annotated[str | None, typer.Argument(metavar="[CYCLE]", help="Id of a cycle; else the one that waits.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Id of a version, e.g. v3.")]
Generation = Annotated[int | None, typer.Option(help="Only if the deployment still stands at this generation.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (approve, reject, promote, rollback, pin, unpin):
        app.command()(command)
    app.command("version")(program_version)


def approve(
    context: typer.Context, cycle: Cycle = None, why: Why = "approved", dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Let a waiting plan be trained, or a held candidate serve."""
    change(here(context), "approve", target=cycle, why=why, dry_run=dry_run, as_json=as_json)


def reject(
    context: typer.Context, cycle: Cycle = None, why: Why = "rejected", dry_run: DryRun = False, as_json: Json = False
) -> None:
    """End a waiting cycle; its records count as refused."""
    change(here(context), "reject", target=cycle, why=why, dry_run=dry_run, as_json=as_json)


def promote(
    context: typer.Context,
    version: Version,
    why: Why = "promoted by hand",
    generation: Generation = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let a version serve on your word, whatever the gate said.

    Its files are verified first, and your name and reason are recorded.
    """
    change(here(context), "promote", target=version, why=why, generation=generation, dry_run=dry_run, as_json=as_json)


def rollback(
    context: typer.Context,
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Else the current one's parent.")] = None,
    why: Why = "rolled back by hand",
    generation: Generation = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let an earlier version serve again.

    Its files are verified first. Without VERSION: what the current one was before it learned last.
    """
    change(here(context), "rollback", target=version, why=why, generation=generation, dry_run=dry_run, as_json=as_json)


def pin(
    context: typer.Context, version: Version, why: Why = "pinned", dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Keep the files of a version, whatever retention says."""
    change(here(context), "pin", target=version, why=why, dry_run=dry_run, as_json=as_json)


def unpin(
    context: typer.Context, version: Version, why: Why = "unpinned", dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Let retention decide about a version again."""
    change(here(context), "unpin", target=version, why=why, dry_run=dry_run, as_json=as_json)


def program_version(as_json: Json = False) -> None:
    """Show which cld this is."""
    from importlib.metadata import version

    console.json_read(version=version("cld")) if as_json else console.say(f"cld {version('cld')}")
