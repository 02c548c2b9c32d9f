"""How requests to forget look to people; everything goes through `agent.cli.console`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.cli import console

__all__ = ["preview", "request", "requests"]

Facts = Mapping[str, Any]

_SHOWN = 20
_ID = 12


def preview(found: Facts) -> None:
    """What would be forgotten, who knows it, and what the two ways cost."""
    _records(found["records"])
    taught = ", ".join(f"{row['version']} ({row['cycle']}, {row['records']})" for row in found["learned_by"])
    known = ", ".join(f"{row['version']} ({row['state']})" for row in found["versions"])
    told = {
        f"known to {found['serving']}": f"{found['known']} of {len(found['records'])}",
        "learned by": taught or "nobody of its line",
        "versions that know some": known or "none",
        "still in the pool": found["in_pool"],
        "in the replay memory": found["in_replay_memory"],
        "say the same": _same(found["say_the_same"]),
    }
    console.lines("", told | {"unlearning": _unlearning(found), "exact replay": _exact(found["exact"])})


def _records(rows: Sequence[Facts]) -> None:
    columns = ("record", "state", "known", "cycle", "source", "near", "begins")
    cells = [
        (row["id"][:_ID], row["state"], "yes" if row["known"] else "no", row["cycle"], row["source"], row["score"],
         row["gist"][:60])
        for row in rows[:_SHOWN]
    ]  # fmt: skip
    console.table(columns, cells, empty="no record was found")
    if (more := len(rows) - _SHOWN) > 0:
        console.say(f"  and {more} more; --json lists all")


def _same(ids: Sequence[str]) -> str:
    if not ids:
        return "no other record"
    named = " ".join(f"--record {record[:_ID]}" for record in ids[:5])
    return f"{len(ids)} other record(s) that are not asked for; add them with {named}"


def _unlearning(found: Facts) -> str:
    cost = found["unlearning"]
    if cost is None:
        return "not needed: the serving version knows none"
    time = (
        "time unknown until something was trained here" if cost["seconds"] is None else f"about {cost['seconds']:.0f} s"
    )
    kept = f"{found['neighbours']} neighbours are kept"
    return f"{cost['method']}: {cost['steps']} steps, {cost['tokens']} tokens, {time}; {kept}"


def _exact(cost: Facts | None) -> str:
    if cost is None:
        return "not needed: the serving version knows none"
    if cost["refused"]:
        return cost["told"]
    again = ", ".join(
        f"{one['cycle']} ({one['stage']} {one['method']}, {one['records_before']} to {one['records_after']} records)"
        for one in cost["plans"]
    )
    return f"--exact: {cost['tokens']} tokens, {cost['seconds']:.0f} s: {again} again from {cost['start']}"


def requests(rows: Sequence[Facts]) -> None:
    """A table of requests."""
    columns = ("request", "state", "records", "known", "method", "cycle", "certified", "asked", "who", "why")
    console.table(
        columns,
        [
            (row["id"], row["state"], row["records_count"], row["learned_count"], row["method"], row["cycle"],
             "yes" if row["certified"] else "no", console.moment(row["asked_at"]), row["who"], row["why"])
            for row in rows
        ],
        empty="nothing was asked to be forgotten",
    )  # fmt: skip


def request(found: Facts) -> None:
    """A request and its certificate."""
    names = ("state", "who", "why", "asked", "method", "cycle", "redact", "reason")
    moments = {name: console.moment(found[name]) for name in ("asked_at", "ended_at")}
    console.lines(found["id"], {**{name: found[name] for name in names}, **moments, "records": len(found["records"])})
    if found["certificate"] is None:
        console.say("  no certificate: the records are not certified as forgotten")
        return
    document = found["certificate"]["document"]
    whole = "whole" if found["certificate_whole"] else "NOT what was written"
    console.say(f"  certificate {found['certificate']['digest'][:_ID]} ({whole}), {document['certified_at']}")
    _unlearned(document)
    held = [(row["what"], row["where"], row["command"]) for row in document["still_held"]]
    console.table(("still holds them", "where", "removed by"), held, empty="  nothing holds them any more")


def _replayed(one: Facts) -> str:
    again = ", ".join(
        f"{job['cycle']} ({job['stage']} {job['method']}, {job['records_after']} of {job['records_before']} records, "
        f"seed {job['seed']})"
        for job in one["replayed"]
    )
    return f"trained again from {one['replayed_from']} without them: {again}"


def _unlearned(document: Facts) -> None:
    for one in document["unlearned_by"]:
        before, after = one["versions"]["before"], one["versions"]["after"]
        console.say(f"  {one['cycle']}: {before} to {after} by {one['method']}, verdict {one['verdict']}")
        if one.get("exact"):
            console.say(f"    exactly: {_replayed(one)}")
        console.say(f"    {one['told']}")
        for word in one["approved_by"]:
            console.say(f"    {word['who']} approved the {word['what']}: {word['why']}")
    if not document["unlearned_by"]:
        console.say(f"  {document['serving']} never learned them, so nothing was trained")
