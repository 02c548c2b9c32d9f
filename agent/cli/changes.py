"""How every changing command ends: ask, show the answer, leave with its exit code."""

from __future__ import annotations

from typing import Any

import typer

from agent.cli import console
from agent.cli.place import Place
from agent.errors import EXIT_CODES, kind_of

__all__ = ["change", "finish"]

_REFUSED = EXIT_CODES["Refused"][0]
_CODES = {kind_of(name): code for name, (code, _) in EXIT_CODES.items()} | {
    "stale_generation": EXIT_CODES["GenerationMoved"][0]
}
"""Exit codes by the kind of a refusal; a kind that has none is refused."""


def change(place: Place, verb: str, *, dry_run: bool, as_json: bool, **args: Any) -> None:
    """Ask for a change through the store, show the answer and leave.

    Args:
        args: `target`, `why`, `generation`; None values are left out.
    """
    from agent.operators.commands import ask

    given = {name: value for name, value in args.items() if value is not None}
    reply = ask(place.store, place.layout, place.config, verb, given, place.who, dry_run=dry_run)
    finish(reply.verb, reply.target, reply.outcome, reply.message, reply.data, as_json=as_json)


def finish(verb: str, target: str, outcome: str, message: str, data: dict[str, Any], *, as_json: bool) -> None:
    """Show the envelope of a change and leave: 0 unless it was refused."""
    reply = {"verb": verb, "target": target, "outcome": outcome, "message": message, "data": data}
    console.answer(reply, as_json=as_json)
    if outcome == "refused":
        raise typer.Exit(_CODES.get(str(data.get("kind")), _REFUSED))
