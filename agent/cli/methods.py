"""`cld methods list|show`: how cld can train."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from agent.cli import console
from agent.cli.place import Json

__all__ = ["group"]


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
             row["serving_form"], f"{row['relative_cost']:.2g}x", _standing(row), row["paper"])
            for row in rows
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
    found["settings"] = _settings(method, found["stage"])
    if as_json:
        console.json_read(method=found)
        return
    settings = found.pop("settings")
    joined = {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in found.items()}
    console.lines(method, {**joined, "planner": _standing(found)})
    console.lines("settings", settings)


def _rows() -> list[dict[str, Any]]:
    """Every method; `stage` is where the survey files it, `stages` where it can train."""
    from learners.methods import methods

    return [{"id": name, "stage": info.stages[0], **asdict(info)} for name, info in sorted(methods().items())]


def _standing(row: dict[str, Any]) -> str:
    if row["experimental"]:
        return "experimental"
    return "proposes it" if row["planned"] else "when named"


def _settings(method: str, stage: str) -> dict[str, Any]:
    from learners.methods import settings_for

    return settings_for(method, stage, {}).model_dump()  # pyright: ignore[reportArgumentType]


def _unknown(method: str) -> Exception:
    from agent.errors import NotFound
    from learners.methods import methods
    from learners.nearest import did_you_mean

    hint = did_you_mean(method, methods(), "none is like it;")
    return NotFound(f"{method!r} is no method; {hint} `cld methods list` shows all")
