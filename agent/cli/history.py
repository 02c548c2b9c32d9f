"""`cld history list|show|search|diff`: what was learned, when, from what, and who let it through."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from agent.cli import console, views
from agent.cli.place import Json, Limit, here

__all__ = ["group"]

Version = Annotated[str, typer.Argument(metavar="VERSION", help="Id of a version, e.g. v3.")]
Stage = Annotated[Literal["cpt", "cit", "ca", "forget"] | None, typer.Option(help="Only this stage.")]
Verdict = Annotated[Literal["promote", "hold", "reject"] | None, typer.Option(help="Only this verdict.")]
Kind = Annotated[Literal["card", "gap", "lesson"] | None, typer.Option(help="Only this kind of entry.")]


def group() -> typer.Typer:
    """The commands below `cld history`."""
    app = typer.Typer(help="History: what was learned, when, and who let it through.", no_args_is_help=True)
    for name, command in {"list": list_versions, "show": show, "search": search, "diff": diff}.items():
        app.command(name)(command)
    return app


def list_versions(
    context: typer.Context, stage: Stage = None, verdict: Verdict = None, limit: Limit = 20, as_json: Json = False
) -> None:
    """List the newest versions."""
    from agent.reads import facts

    filters = {name: value for name, value in {"stage": stage, "verdict": verdict}.items() if value}
    with here(context).store.read() as tx:
        rows = facts.version_list(tx, filters, limit)
    console.json_read(versions=rows) if as_json else views.versions(rows)


def show(context: typer.Context, version: Version, as_json: Json = False) -> None:
    """Show a version: its card, scores, decisions, and when it served."""
    from agent.reads import facts
    from agent.root.layout import check_id

    place = here(context)
    with place.store.read() as tx:
        found = facts.version(tx, check_id(version))
    found["folders"] = facts.folders(place.layout, found["id"], found["base"])
    console.json_read(version=found) if as_json else views.version(found)


def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="Id of a version.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="Id of a version.")],
    as_json: Json = False,
) -> None:
    """Show what changed from one version to another: data, settings, scores per suite and probe."""
    from agent.history.diff import diff as compare
    from agent.root.layout import check_id

    with here(context).store.read() as tx:
        found = compare(tx, check_id(before), check_id(after)).as_dict()
    console.json_read(diff=found) if as_json else views.diff(found)


def search(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="In plain words, e.g. 'when did it learn the refund policy?'")],
    stage: Stage = None,
    verdict: Verdict = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only from this day on, e.g. 2026-05-01.")] = None,
    kind: Kind = None,
    source: Annotated[str | None, typer.Option(help="Only what this source taught.")] = None,
    limit: Limit = 5,
    as_json: Json = False,
) -> None:
    """Search the history by meaning."""
    from agent.history.search import search as find

    place = here(context)
    found = find(
        place.layout, place.store, question,
        limit=limit, stage=stage, verdict=verdict, since=since, kind=kind, source=source,
    )  # fmt: skip
    hits = [hit.as_dict() for hit in found]
    console.json_read(question=question, hits=hits) if as_json else views.hits(hits)
