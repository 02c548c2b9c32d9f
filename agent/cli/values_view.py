"""How the registry of values looks to people; `views` shows every other fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.cli import console

__all__ = ["norm", "register", "report", "touched"]

Facts = Mapping[str, Any]


def register(found: Facts) -> None:
    """A table of norms, and what waits for one that is not there."""
    console.table(
        ("norm", "state", "from", "to", "for", "in place of", "suite", "approved by", "statement"),
        [
            (row["id"], row["state"], _day(row["valid_from"]), _day(row["valid_to"]), ", ".join(row["scope"]) or "all",
             row["supersedes"], row["suite"], row["approver"], row["statement"])
            for row in found["norms"]
        ],
        empty="no norm to show; `cld values add NORM STATEMENT` registers one",
    )  # fmt: skip
    for name, count in found["awaited"].items():
        console.say(f"{count} preference(s) are set aside, because nobody registered {name!r}: `cld values add {name}`")


def norm(found: Facts) -> None:
    """Everything about one norm."""
    names = ("statement", "state", "approver", "evidence", "suite", "supersedes", "superseded_by")
    dates = {"from": _day(found["valid_from"]), "to": _day(found["valid_to"])}
    console.lines(found["id"], {**{name: found[name] for name in names}, "for": ", ".join(found["scope"]), **dates})
    for row in found["changes"]:
        old = f" in place of {row['old']}" if row["old"] else ""
        console.say(f"  {_day(row['at'])} {row['who']}: {row['change']} {row['norm']}{old}: {row['why']}")
    for row in found["cycles"]:
        console.say(f"  {row['cycle']} ({row['state']}): set out to {row['change']} it")


def report(rows: Sequence[Facts]) -> None:
    """A table for each norm: what each promoted version makes of it."""
    for row in rows:
        ended = f"; ended on {_day(row['valid_to'])}" if row["valid_to"] else ""
        level = "" if row["level"] is None else f"; without it {row['level']:.3f} would be followed"
        console.say(f"{row['norm']}: {row['statement']}{ended}{level if row['retired_by'] else ''}")
        console.table(_COLUMNS, (_reading(row, one) for one in row["versions"]), empty=f"  {row['missing']}")
    if not rows:
        console.say("no norm is registered; `cld values add NORM STATEMENT` registers one")


def touched(rows: Sequence[Facts]) -> None:
    """The norms that a plan touches: what a person decides about."""
    for row in rows:
        place = f" in place of {row['supersedes']} ({row['superseded_statement']})" if row["supersedes"] else ""
        scope = f", for {', '.join(row['scope'])}" if row["scope"] else ""
        console.say(f"  norm: {row['records']} preference(s) {row['change']} {row['norm']}{place}{scope}")
        console.say(f"    it says: {row['statement']} (registered by {row['approver']})")
        told = f"{row['probes']} in suite {row['suite']}" if row["suite"] else "none"
        console.say(f"    probes: {told}")
        for prompt in row["examples"]:
            console.say(f"      {prompt}")


_COLUMNS = ("version", "items", "adoption", "retention", "residual", "near-miss change", "")
_NUMBERS = ("adoption", "retention", "residual", "overgeneralisation")


def _reading(row: Facts, one: Facts) -> tuple[object, ...]:
    touched = {"learned it": row["learned_by"], "let it go": row["retired_by"]}
    marks = {word: one["version"] == version for word, version in touched.items()} | {"serves": one["serves"]}
    told = ", ".join(word for word, holds in marks.items() if holds)
    return one["version"], one["items"], *(_share(one[name]) for name in _NUMBERS), told


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _day(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone().strftime("%Y-%m-%d")
