"""`cld methods list|show`: how cld can train."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Annotated, Any, get_args

import typer

from agent.cli import console
from agent.cli.place import Json

__all__ = ["cited", "group"]

_NAMED = 3
"""Methods that are named at once where a word is asked for that is none."""


def group() -> typer.Typer:
    """The commands below `cld methods`."""
    app = typer.Typer(help="Methods: how to train so that little is forgotten.", no_args_is_help=True)
    app.command("list")(list_methods)
    app.command()(show)
    return app


def list_methods(as_json: Json = False) -> None:
    """List the methods: stage, what they are meant to teach, what they need, how they are served, what they cost."""
    rows = _rows()
    if as_json:
        console.json_value(rows)
        return
    console.table(
        ("id", "stage", "information kinds", "needs", "served as", "cost", "planner", "paper"),
        [
            (row["id"], ", ".join(row["stages"]), ", ".join(row["information_kinds"]), ", ".join(row["needs"]),
             row["serving_form"], f"{row['relative_cost']:.2g}x", _standing(row), cited(row["paper"]))
            for row in sorted(rows, key=_survey_place)
        ],
        empty="no method",
    )  # fmt: skip


def show(
    method: Annotated[str, typer.Argument(metavar="ID", help="Id of a method, e.g. replay.")],
    as_json: Json = False,
) -> None:
    """Show a method: what the list says, where it differs from its paper, and its settings with their defaults."""
    found = next((row for row in _rows() if row["id"] == method), None)
    if found is None:
        raise _unknown(method)
    found["settings"], found["meanings"] = _settings(method, found["stage"])
    if as_json:
        console.json_read(method=found)
        return
    console.lines(method, _facts(found))
    console.table(
        ("setting", "default", "meaning"),
        [(name, json.dumps(value), found["meanings"].get(name, "")) for name, value in found["settings"].items()],
        empty="no settings",
    )


def _facts(row: dict[str, Any]) -> dict[str, str]:
    """What is said of a method, under the names that the list has; what does not concern it is left out."""
    lists = {"stages": "stages", "information kinds": "information_kinds", "needs": "needs", "learns from": "kinds"}
    found = {name: ", ".join(row[key]) for name, key in lists.items()} | {
        "served as": row["serving_form"],
        "cost": f"{row['relative_cost']:.2g}x plain fine-tuning, in tokens processed",
        "forgetting": f"{row['relative_forgetting']:.2g}x plain fine-tuning, before any cycle says otherwise",
        "planner": _standing(row),
        "planned on": row["planned_on"],
        "experimental": row["experimental"],
        "paper": row["paper"],
        "differs": row["differs"],
        "module": row["module"],
    }
    return {name: value for name, value in found.items() if value}


def _survey_place(row: dict[str, Any]) -> int:
    """Where the survey has a method's stage; rows keep their order within it."""
    from learners.job import Stage

    return get_args(Stage).index(row["stage"])


def cited(paper: str) -> str:
    """Authors, year and number of a paper, which are enough to know it by; `show` has its title."""
    authors, number = re.match(r".*?\b\d{4}\b", paper), re.search(r"arXiv:[\w.]+", paper)
    return " ".join(found.group() for found in (authors, number) if found) or paper


def _rows() -> list[dict[str, Any]]:
    """Every method; `stage` is where the survey files it, `stages` where it can train."""
    from learners.methods import methods

    return [{"id": name, "stage": info.stages[0], **asdict(info)} for name, info in sorted(methods().items())]


def _standing(row: dict[str, Any]) -> str:
    if row["experimental"]:
        return "experimental"
    return "proposes it" if row["planned"] else "when named"


def _settings(method: str, stage: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Every setting with its default, a method's own before those that all have; and with its meaning."""
    from learners.methods import contract, load_method, settings_for
    from learners.methods.meanings import meanings

    defaults = settings_for(method, stage, {}).model_dump()  # pyright: ignore[reportArgumentType]
    ordered = sorted(defaults, key=lambda name: name in contract.Settings.model_fields)
    return {name: defaults[name] for name in ordered}, meanings(load_method(method).Settings)


def _unknown(method: str) -> Exception:
    from agent.errors import NotFound
    from learners.methods import methods
    from learners.nearest import did_you_mean

    word = re.compile(rf"\b{re.escape(method)}\b", re.IGNORECASE)
    spoken_of = [name for name, info in methods().items() if word.search(f"{info.paper} {info.differs}")]
    hint = did_you_mean(method, methods(), "" if spoken_of else "none is like it;")
    where = f"the word stands at {', '.join(map(repr, spoken_of[:_NAMED]))};" if spoken_of else ""
    told = " ".join(filter(None, (hint, where)))
    return NotFound(f"{method!r} is no method; {told} `cld methods list` shows all")
