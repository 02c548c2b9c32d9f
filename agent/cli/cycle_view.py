"""How cycles look to people: the list, and one with its gaps, verdict, jobs and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.cli import console

__all__ = ["cycle", "cycles"]

Facts = Mapping[str, Any]
Rows = Sequence[Facts]

_SHOWN_ITEMS = 8
_SHOWN_SLICES = 3
_TOLD = ("state", "trigger", "stage", "method", "parent", "anchor", "candidate", "records", "reason")


def cycles(rows: Rows) -> None:
    """A table of cycles."""
    columns = ("cycle", "state", "stage", "method", "candidate", "verdict", "started", "reason")
    console.table(
        columns,
        [
            (row["id"], row["state"], row["stage"], row["method"], row["candidate"], row["verdict"],
             console.moment(row["started_at"]), console.short(row["reason"]))
            for row in rows
        ],
        empty="no cycle yet; `cld cycle run` starts one",
    )  # fmt: skip


def cycle(found: Facts) -> None:
    """Everything about one cycle."""
    times = {name: console.moment(found[name]) for name in ("started_at", "ended_at")}
    console.lines(found["id"], {**{name: found[name] for name in _TOLD}, **times})
    for gap in found["gaps"]:
        console.say(f"  gap: {gap['topic']} ({gap['information_kind']}, severity {gap['severity']:.2f})")
    for item in found["set_aside"]:
        how = f"{item['by']}, {item['degree']:.2f}"
        console.say(f"  set aside: {item['suite']}/{item['probe']}, given away by record {item['record']} ({how})")
    if found["verdict"]:
        _verdict(found["verdict"])
    for word in found["decisions"]:
        console.say(f"  {word['who']}: {word['decision']}: {word['why']}")
    _jobs(found["jobs"])
    for event in found["events"]:
        console.say(f"  {console.moment(event['at'])} {event['who']}: {_moved(event)}: {console.short(event['why'])}")


def _verdict(verdict: Facts) -> None:
    """The outcome, each reason on a line of its own, then the comparisons that they rest on."""
    console.say(f"  verdict: {verdict.get('verdict')}")
    for reason in verdict.get("reasons", ()):
        console.say(f"    {reason}")
    rows: Rows = verdict.get("suites", ())
    if rows:
        columns = ("suite", "role", "against", "items", "before", "after", "change (95 %)", "outcome", "lost most in")
        console.table(columns, map(_comparison, rows), empty="")
    for row in rows:
        if row["outcome"] != "pass" and row["broken_items"]:
            console.say(f"  lost in {row['suite']} against the {row['against']}: {_named(row['broken_items'])}")


def _named(items: Sequence[str]) -> str:
    more = len(items) - _SHOWN_ITEMS
    return ", ".join(items[:_SHOWN_ITEMS]) + (f" and {more} more; --json lists all" if more > 0 else "")


def _comparison(row: Facts) -> tuple[object, ...]:
    unit = " nats" if row["unit"] == "nats" else ""
    between = "" if row["low"] is None else f" ({row['low']:+.2f} to {row['high']:+.2f})"
    lost = row["broken_slices"][:_SHOWN_SLICES] if row["outcome"] != "pass" else ()
    change = None if row["delta"] is None else f"{row['delta']:+.2f}{unit}{between}"
    outcome = f"{row['outcome']} (reported only)" if row["dry_run"] else row["outcome"]
    scores = (_score(row["before"]), _score(row["after"]))
    return row["suite"], row["role"], row["against"], row["items"], *scores, change, outcome, ", ".join(lost)


def _score(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _jobs(rows: Rows) -> None:
    columns = ("job", "state", "attempts", "reason", "seconds", "Wh (estimate)")
    cells = [(row["id"], row["state"], row["attempts"], row["reason"], *_usage(row["usage"])) for row in rows]
    console.table(columns, cells, empty="  no job yet")


def _usage(usage: Facts | None) -> tuple[str | None, str | None]:
    energy, seconds = (usage or {}).get("energy_kwh"), (usage or {}).get("wall_seconds")
    return None if seconds is None else f"{seconds:.1f}", None if energy is None else f"{energy * 1000:.2f}"


def _moved(event: Facts) -> str:
    """What happened: the two states of a move, else the action."""
    detail: Facts = event["detail"] or {}
    if event["action"] == "cycle.moved" and {"before", "after"} <= set(detail):
        return f"{detail['before']} -> {detail['after']}"
    return event["action"]
