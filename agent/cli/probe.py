"""`cld probe run|list|matrix|hidden|relearn`: what is measured, what every version scored, what one hides or lost."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from agent.cli import console, matrix_view, views
from agent.cli.changes import change
from agent.cli.place import DryRun, Json, Why, here

__all__ = ["group"]

Role = Annotated[
    Literal["target", "general", "instruction", "safety", "overrefusal"] | None, typer.Option(help="Only this role.")
]
Suite = Annotated[str | None, typer.Option(help="Only this suite.")]
Versions = Annotated[int, typer.Option("--limit", min=1, help="Most versions shown, the newest; --json holds all.")]
Engine = Annotated[str | None, typer.Option(help="Engine setting, by digest; else the newest measured version's.")]
Version = Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Id of a version; else the one that serves.")]
Asked = Annotated[str, typer.Argument(metavar="SUITE", help="Name of a suite, as in [probes] suites.")]
Steps = Annotated[int, typer.Option(min=1, max=1000, help="Steps of training, each on four items.")]
Since = Annotated[str | None, typer.Option(metavar="VERSION", help="The earlier version; else the parent.")]
Profile = Annotated[str | None, typer.Option(help="A ready-made set of suites: trace.")]


def group() -> typer.Typer:
    """The commands below `cld probe`."""
    app = typer.Typer(help="Probes: what is measured.", no_args_is_help=True)
    app.command("run")(run)
    app.command("list")(list_suites)
    app.command()(matrix)
    app.command()(hidden)
    app.command()(relearn)
    return app


def run(
    context: typer.Context,
    version: Version = None,
    profile: Profile = None,
    why: Why = "an operator asked",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Measure a version on all suites; the daemon does it when no cycle works.

    With --profile, measure a ready-made set of suites on the version and the initial model, and show the deltas.
    """
    if profile is not None:
        from agent.cli import profile_view

        return profile_view.run(here(context), profile, version, why=why, dry_run=dry_run, as_json=as_json)
    return change(here(context), "probe_run", target=version, why=why, dry_run=dry_run, as_json=as_json)


def list_suites(context: typer.Context, as_json: Json = False) -> None:
    """List the suites that are measured, with role, size and file."""
    from agent.reads import facts

    place = here(context)
    with place.store.read() as tx:
        rows = facts.suites(tx, place.layout, place.config)
    console.json_read(suites=rows) if as_json else views.suites(rows)


def matrix(
    context: typer.Context,
    role: Role = None,
    suite: Suite = None,
    engine: Engine = None,
    limit: Versions = 6,
    as_json: Json = False,
) -> None:
    """Show what every promoted version scored on every suite, the drift from the anchor, and what the updates forgot.

    Also GAD, IFD, SD and over-refusal of every update that led to the serving version, and forward and backward
    transfer, forgetting and accuracy along that line by their published formulas. What was not measured shows as '-'.
    """
    from agent.history.matrix import report

    with here(context).store.read() as tx:
        found = report(tx, role=role, suite=suite, engine=engine).as_dict()
    console.json_read(matrix=found) if as_json else matrix_view.matrix(found, limit)


def hidden(
    context: typer.Context,
    suite: Asked,
    version: Version = None,
    why: Why = "an operator asked",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask a suite in disguises, to tell what an update only hid from what it erased; nothing is trained or judged.

    Of the items that the parent solves as asked and the version fails, those that it solves in leetspeak, pig latin,
    capitals or reversed words are hidden. The daemon measures what is not measured yet, when no cycle works.
    """
    from agent.cli import hidden_view

    hidden_view.run(here(context), suite, version, why=why, dry_run=dry_run, as_json=as_json)


def relearn(
    context: typer.Context,
    suite: Asked,
    version: Version = None,
    since: Since = None,
    steps: Steps = 20,
    why: Why = "an operator asked",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train a few steps on half of a suite and ask the other half, to tell what comes back at once from what is gone.

    What is trained is thrown away. The initial version takes the same steps, for what it gains in them was learned and
    not remembered. The daemon measures what is not measured yet, when no cycle works.
    """
    from agent.cli import relearn_view

    asked = relearn_view.Words(suite, version, since, steps)
    relearn_view.run(here(context), asked, why=why, dry_run=dry_run, as_json=as_json)
