"""`cld forget`: take records out of what the model knows, and prove it; `cld forget list|show`: what was forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import console, forget_view
from agent.cli.changes import finish
from agent.cli.place import DryRun, Json, Limit, Place, Why, here

if TYPE_CHECKING:
    from agent.forgetting.matching import Selection

__all__ = ["group"]

Records = Annotated[
    list[str] | None, typer.Option("--record", metavar="ID", help="A record's id or its beginning; may be repeated.")
]
Sources = Annotated[
    list[str] | None, typer.Option("--source", metavar="NAME", help="All that a source brought; may be repeated.")
]
Query = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Records that hold these words, and those nearest in meaning.")
]
Most = Annotated[int, typer.Option("--limit", min=0, help="Most records that --query finds by meaning alone.")]
Method = Annotated[
    str | None, typer.Option(help="How to unlearn: a method of `cld methods list`; else [forget] method.")
]
Redact = Annotated[bool, typer.Option("--redact", help="Take their content out of the database, too.")]
Exact = Annotated[bool, typer.Option("--exact", help="Train the lineage again without them.")]
RequestId = Annotated[str, typer.Argument(metavar="ID", help="Id of a request, e.g. f1.")]


def group() -> typer.Typer:
    """`cld forget` itself and the commands below it."""
    app = typer.Typer()
    app.callback(invoke_without_command=True)(forget)
    app.command("list")(list_requests)
    app.command()(show)
    return app


def forget(
    context: typer.Context,
    record: Records = None,
    source: Sources = None,
    query: Query = None,
    limit: Most = 20,
    method: Method = None,
    redact: Redact = False,
    exact: Exact = False,
    why: Why = "asked to be forgotten",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Forget records: look with --dry-run, then ask; the plan waits for `cld approve`.

    What waits in the pool is withdrawn at once and never comes in again. What the serving version knows is unlearned by
    a cycle, or with --exact what came after is trained again without it; the proof (exposure, extraction, membership,
    neighbours, suites) must hold before the new version serves.
    """
    if context.invoked_subcommand is None:
        place = here(context)
        chosen = _chosen(place, record, source, query, limit)
        args = {"why": why, "redact": redact, "exact": exact or None, "method": method}
        _ask(place, chosen, args, dry_run=dry_run, as_json=as_json)


def _chosen(
    place: Place, records: list[str] | None, sources: list[str] | None, query: str | None, limit: int
) -> Selection:
    from agent.forgetting.matching import select

    return select(place.layout, place.store, records=records or (), sources=sources or (), query=query, limit=limit)


def _ask(place: Place, chosen: Selection, told: dict[str, Any], *, dry_run: bool, as_json: bool) -> None:
    from agent.operators.commands import ask

    args = {"records": list(chosen.ids), "asked": chosen.asked}
    args |= {name: value for name, value in told.items() if value is not None}
    reply = ask(place.store, place.layout, place.config, "forget", args, place.who, dry_run=dry_run)
    data = dict(reply.data)
    if dry_run and chosen.ids:
        data["preview"] = _preview(place, chosen, told["method"], as_json=as_json)
    finish(reply.verb, reply.target, reply.outcome, reply.message, data, as_json=as_json)


def _preview(place: Place, chosen: Selection, method: str | None, *, as_json: bool) -> dict[str, Any]:
    from agent.forgetting.preview import preview

    with place.store.read() as tx:
        found = preview(tx, place.layout, place.config, chosen, method)
    if not as_json:
        forget_view.preview(found)
    return found


def list_requests(context: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """List the newest requests."""
    from agent.forgetting.preview import requests

    with here(context).store.read() as tx:
        rows = requests(tx, limit)
    console.json_read(requests=rows) if as_json else forget_view.requests(rows)


def show(context: typer.Context, request: RequestId, as_json: Json = False) -> None:
    """Show a request and its certificate: who, what, how it was proven, and what still holds the records."""
    from agent.forgetting.preview import request as told
    from agent.root.layout import check_id

    with here(context).store.read() as tx:
        found = told(tx, check_id(request))
    console.json_read(request=found) if as_json else forget_view.request(found)
