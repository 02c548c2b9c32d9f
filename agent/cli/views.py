"""How facts look to people: one function per noun, each through `agent.cli.console`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.cli import console

__all__ = [
    "checks", "config", "diff", "hits", "log_line", "quarantine", "sources", "status", "suites",
    "version", "versions",
]  # fmt: skip

Facts = Mapping[str, Any]
Rows = Sequence[Facts]

_DIGITS = 3
_SHOWN_CHARACTERS = 120


def status(root: str, facts: Facts) -> None:
    """The state of a data root, most urgent first."""
    daemon, version, cycle = facts["daemon"], facts["version"], facts["cycle"]
    up = f"up (pid {daemon['pid']}, since {_time(daemon['since'])})" if daemon["up"] else "down; `cld start` starts it"
    for pause in facts["paused"]:
        why = console.short(pause["reason"], 2 * _SHOWN_CHARACTERS)
        console.say(f"PAUSED ({pause['code']}, since {_time(pause['since'])}): {why}")
        console.say(f"  to go on: {pause['fix']}")
    pool = facts["pool"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in pool["kinds"].items())
    contested = f"{pool['contested']} contested (`cld data disagreement`), " if pool["contested"] else ""
    waiting = f"{pool['waiting']} records wait{f' ({kinds})' if kinds else ''}"
    lines = {
        "data root": root,
        "daemon": up,
        "serves": f"{version['version']} (generation {version['generation']})" if version else "nothing yet",
        "cycle": _cycle_line(cycle) if cycle else "none: observing",
        **{f"job {job['id']}": _job_line(job, running=daemon["up"]) for job in facts["jobs"]},
        "pool": f"{waiting}; {contested}{_quarantined(pool['quarantined'])}",
        **{f"verdict on {row['version']}": _verdict_line(row) for row in facts["verdicts"]},
        "breaker": _breaker_line(facts["breaker"]["bad_cycles_in_a_row"]),
    }
    if facts["commands"]["pending"]:
        lines["commands"] = f"{facts['commands']['pending']} wait for the daemon"
    console.lines("", lines)


def _breaker_line(bad: int) -> str:
    return "no bad cycle since the last good one" if bad == 0 else f"{bad} bad cycle{'s' if bad > 1 else ''} in a row"


def _quarantined(items: int) -> str:
    return f"{items} quarantined (`cld data quarantine`)" if items else "0 quarantined"


def _cycle_line(cycle: Facts) -> str:
    how = f" {cycle['stage']} with {cycle['method']}" if cycle["stage"] else ""
    asked = "cycle" if cycle["candidate"] else "plan"
    wait = f"; `cld {asked} show {cycle['id']}`, then `cld approve` or `cld reject`"
    why = console.short(cycle["reason"], 2 * _SHOWN_CHARACTERS)
    held = f"{why}{wait}" if cycle["state"] == "awaiting_approval" else ""
    return f"{cycle['id']} {cycle['state']}{how}{f': {held}' if held else ''}"


def _job_line(job: Facts, *, running: bool) -> str:
    progress = job["progress"]
    attempt = f", attempt {job['attempts']}" if job["attempts"] > 1 else ""
    if not running:
        return f"goes on at the next start{attempt}"
    if not progress:
        return f"starting{attempt}"
    return f"{progress['done']:g} of {progress['total']:g}{attempt}: {progress['message']}"


def _verdict_line(row: Facts) -> str:
    reasons = console.short("; ".join(row["reasons"]), _SHOWN_CHARACTERS)
    return f"{row['verdict']} ({row['cycle']}, {row['phase']}){f': {reasons}' if reasons else ''}"


def log_line(line: Facts) -> None:
    """One event of the daemon's log."""
    console.say(f"{_time(line.get('timestamp'))} {line.get('level', ''):<7} {line.get('event', '')}")


def versions(rows: Rows) -> None:
    """A table of versions."""
    columns = ("version", "serves", "state", "stage", "method", "parent", "cycle", "verdict", "made", "marks")
    console.table(
        columns,
        [
            (row["id"], "yes" if row["serves"] else "", row["state"], row["stage"], row["method"], row["parent"],
             row["cycle"], row["verdict"], _time(row["created_at"]), _marks(row))
            for row in rows
        ],
        empty="no version yet; `cld start` imports the base model",
    )  # fmt: skip


def version(found: Facts) -> None:
    """Everything about one version."""
    names = ("state", "stage", "method", "parent", "base", "cycle", "verdict", "digest")
    told = {name: found[name] for name in names} | {"marks": _marks(found) or None}
    console.lines(found["id"], {**told, **found["folders"]})
    if found["card"]:
        console.say(found["card"])
    console.table(
        ("suite", "role", "probes", "mean score", "engine"),
        [
            (row["suite"], row["role"], row["items"], f"{row['mean']:.{_DIGITS}f}", row["engine"])
            for row in found["scores"]
        ],
        empty="  not measured yet",
    )
    for row in found["judges"]:
        console.say(f"  {row['told']}")
    for move in found["served"]:
        console.say(
            f"  generation {move['generation']} ({move['cause']}), {_time(move['changed_at'])}, "
            f"by {move['who']}: {console.short(move['why'])}"
        )


def diff(found: Facts) -> None:
    """What changed between two versions."""
    before, after = found["before"]["id"], found["after"]["id"]
    if not found["related"]:
        console.say(f"{before} is no ancestor of {after}: this is all that {after} learned")
    for step in found["learned"]:
        sources = ", ".join(f"{count} from {source}" for source, count in step["sources"].items())
        console.say(f"{step['version']} learned {sources or 'nothing'}: {step['stage']} with {step['method']}")
    for name, (old, new) in found["settings"].items():
        console.say(f"  {name}: {'-' if old is None else old} -> {'-' if new is None else new}")
    console.table(
        ("suite", "role", "probes", before, after, "change"),
        [
            (row["suite"], row["role"], row["items"], *_change(row), f"{row['delta']:+.{_DIGITS}f}")
            for row in found["suites"]
        ],
        empty=f"{before} and {after} were never measured on the same suite",
    )
    if found["facts"]:
        _facts(found["facts"])
    console.table(
        ("suite", "probe", "slice", before, after),
        [(row["suite"], row["probe"], row["slice"], *_change(row)) for row in found["items"]],
        empty="no probe changed",
    )


def _facts(found: Facts) -> None:
    """What became of the facts of documents that came again."""
    console.table(
        ("facts of documents that came again", "probes", "before", "after"),
        [(name, row["items"], *_change(row)) for name, row in found.items() if name != "fuar" and row],
        empty="",
    )
    lost = "-" if found["fuar"] is None else f"{found['fuar']:.{_DIGITS}f}"
    console.say(f"  facts lost for each one updated or acquired (FUAR): {lost}")


def _change(row: Facts) -> tuple[str, str]:
    return f"{row['before']:.{_DIGITS}f}", f"{row['after']:.{_DIGITS}f}"


def hits(rows: Rows) -> None:
    """What a search found, nearest first."""
    for row in rows:
        about = ", ".join(str(row[name]) for name in ("stage", "verdict") if row[name])
        title = console.short(row["title"], _SHOWN_CHARACTERS)
        console.say(f"{row['score']:.2f}  {row['id']} ({_time(row['when'])}{f', {about}' if about else ''}): {title}")
        console.say(f"      {console.short(row['text'].removeprefix(row['title']), 300)}")
    if not rows:
        console.say("nothing in the history answers that")


def sources(rows: Rows) -> None:
    """A table of sources."""
    columns = ("source", "kind", "path", "trust", "read", "kept", "duplicate", "quarantined")
    console.table(columns, [[row[column] for column in columns] for row in rows], empty="no source is configured")


def quarantine(rows: Rows) -> None:
    """A table of quarantined items."""
    console.table(
        ("when", "source", "from", "reason", "begins"),
        [
            (_time(row["at"]), row["source"], row["origin"], row["reason"], console.short(row["excerpt"], 60))
            for row in rows
        ],
        empty="nothing is quarantined",
    )


def suites(rows: Rows) -> None:
    """A table of suites."""
    console.table(
        ("suite", "role", "probes", "digest", "file"),
        [(row["suite"], row["role"], row["probes"], row["digest"][:12], row["file"]) for row in rows],
        empty="no suite is configured; see [probes] suites",
    )


def checks(rows: Rows) -> None:
    """The doctor's report."""
    for row in rows:
        console.say(f"{row['outcome']:<4}  {row['name']}: {row['finding']}")
        if row["fix"]:
            console.say(f"      fix: {row['fix']}")


def config(values: Facts, prefix: str = "") -> None:
    """Every key that holds, one a line."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            config(value, f"{key}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            console.say(f"{key} = {'(unset)' if value is None else json.dumps(value)}")


def _time(value: str | datetime | None) -> str:
    return console.moment(value) or "-"


def _marks(row: Facts) -> str:
    person = [f"let through by {row['let_through_by']}"] if row["let_through_by"] else []
    return ", ".join([mark for mark in ("pinned", "anchor") if row[mark]] + person)
