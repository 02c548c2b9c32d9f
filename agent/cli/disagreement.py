"""`cld data disagreement|settle`: what groups of people judge in opposite ways, and a person's word on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from agent.cli import console
from agent.cli.changes import change
from agent.cli.place import DryRun, Json, Why, here
from agent.errors import InvalidValue

__all__ = ["settle", "show"]

Prompt = Annotated[str, typer.Argument(metavar="ID|PROMPT", help="Id of a disputed prompt, or its words.")]
Group = Annotated[str | None, typer.Option(metavar="GROUP", help="Learn this group's side for all.")]
Apart = Annotated[bool, typer.Option("--apart", help="Learn each side, with its group stated in the system turn.")]

_SHOWN_CHARACTERS = 60


def show(context: typer.Context, as_json: Json = False) -> None:
    """Show the prompts whose answers groups judge in opposite ways, with the counts of each group.

    Such records are kept out of cycles until `cld data settle` says what is learned of them.
    """
    from agent import disagreement

    place = here(context)
    with place.store.read() as tx:
        found = disagreement.report(tx, place.config)
    console.json_read(disagreements=found) if as_json else _show(found)


def settle(
    context: typer.Context,
    prompt: Prompt,
    group: Group = None,
    apart: Apart = False,
    why: Why = "a person decided",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Decide what is learned of a disputed prompt: one group's side for all, or each side for its own group.

    Records on the other side are refused. What arrives later about the same prompt follows the decision.
    """
    if (group is None) is not apart:
        raise InvalidValue("say which: --group GROUP learns that group's side, --apart each side with its group")
    change(here(context), "settle", target=prompt, group=group, why=why, dry_run=dry_run, as_json=as_json)


def _show(found: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (one["id"], "\n".join(map(_cut, (one["prompt"], *one["wordings"]))), _cut(answer["text"]),
         _sides(answer["sides"]), f"{answer['p_value']:.2g}", _settled(one))
        for one in found
        for answer in one["answers"]
    ]  # fmt: skip
    columns = ("id", "prompt", "answer", "for it, of all (95 %)", "p", "state")
    console.table(columns, rows, empty="no groups judge an answer in opposite ways")


def _sides(sides: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"{one['group']}: {one['wanted']} of {one['judged']} ({one['low']:.2f} to {one['high']:.2f})" for one in sides
    )


def _settled(one: Mapping[str, Any]) -> str:
    if decided := one["settled"]:
        return f"{decided['group'] or 'apart'}, by {decided['who']}"
    still = [f"{one[name]} {name}" for name in ("kept", "waiting") if one[name]]
    return f"{', '.join(still)}; `cld data settle {one['id']}`" if still else "learned"


def _cut(text: str) -> str:
    return console.short(text, _SHOWN_CHARACTERS)
