"""`cld values list|show|add|revise|retire|report`: the registry of values, who changed it, what models make of it."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import console, values_view
from agent.cli.changes import change
from agent.cli.place import DryRun, Json, Why, here

__all__ = ["group"]

Norm = Annotated[str, typer.Argument(metavar="NORM", help="Name of a norm, as preferences carry it.")]
New = Annotated[str, typer.Argument(metavar="NEW", help="Name of the norm that takes its place.")]
Statement = Annotated[str, typer.Argument(metavar="STATEMENT", help="The norm in a sentence or two.")]
Scope = Annotated[list[str] | None, typer.Option(help="A group or use that it is for; repeat; else everybody.")]
From = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day, e.g. 2026-03-01; else now.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE", help="First day without it; else now.")]
At = Annotated[str | None, typer.Option("--at", metavar="DATE", help="Only what holds on a day.")]
Evidence = Annotated[str | None, typer.Option(help="Where it comes from: a policy, a ticket, a decision.")]
Suite = Annotated[str | None, typer.Option(help="Suite of its probes: a shipped one, or a file in ROOT/suites.")]
Asked = Annotated[str | None, typer.Argument(metavar="[NORM]", help="Name of a norm; else all that hold.")]


def group() -> typer.Typer:
    """The commands below `cld values`."""
    app = typer.Typer(help="Values: the norms a model is held to, and what it makes of them.", no_args_is_help=True)
    app.command("list")(list_norms)
    for command in (show, add, revise, retire, report):
        app.command()(command)
    return app


def list_norms(context: typer.Context, at: At = None, as_json: Json = False) -> None:
    """List all norms and their states, or those that held on a day."""
    from agent.reads import values

    with here(context).store.read() as tx:
        found = values.register(tx, values.moment_of(at) if at else None)
    console.json_read(**found) if as_json else values_view.register(found)


def show(context: typer.Context, norm: Norm, as_json: Json = False) -> None:
    """Show a norm: what it says, for whom, from when to when, who changed it, which cycles learned it."""
    from agent.reads import values

    with here(context).store.read() as tx:
        found = values.norm(tx, norm)
    console.json_read(norm=found) if as_json else values_view.norm(found)


def add(
    context: typer.Context, norm: Norm, statement: Statement, scope: Scope = None, date: From = None,
    evidence: Evidence = None, suite: Suite = None, why: Why = "added", dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Register a norm; preferences that name it may be learned from then on, each time after a person's approval."""
    said = {"statement": statement, "scope": scope, "date": date, "evidence": evidence, "suite": suite}
    change(here(context), "norm_add", target=norm, why=why, dry_run=dry_run, as_json=as_json, **said)


def revise(
    context: typer.Context, old: Norm, new: New, statement: Statement, scope: Scope = None, date: From = None,
    evidence: Evidence = None, suite: Suite = None, why: Why = "revised", dry_run: DryRun = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Put a new norm in the place of one that holds.

    The old one ends on the day the new one begins: its suite may fall from then on, and only its.
    """
    said = {"new": new, "statement": statement, "scope": scope, "date": date, "evidence": evidence, "suite": suite}
    change(here(context), "norm_revise", target=old, why=why, dry_run=dry_run, as_json=as_json, **said)


def retire(
    context: typer.Context, norm: Norm, date: To = None, why: Why = "retired", dry_run: DryRun = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """End a norm without another in its place.

    Then a cycle looks whether the model follows it still, and asks for approval before it takes the norm out.
    """
    change(here(context), "norm_retire", target=norm, date=date, why=why, dry_run=dry_run, as_json=as_json)


def report(context: typer.Context, norm: Asked = None, as_json: Json = False) -> None:
    """Show what promoted versions make of the norms, from stored measurements.

    Adoption is how often the norm is followed, retention what is left of that since it was learned, residual how often
    the norm that it superseded, or one that was retired, is followed still, over-generalisation what changed just
    outside its scope.
    """
    from agent.history import norms

    with here(context).store.read() as tx:
        found = norms.report(tx, norm)
    console.json_read(norms=found) if as_json else values_view.report(found)
