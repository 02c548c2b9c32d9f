"""How facts look to people: one function per noun, each through `agent.cli.console`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.cli import console, values_view

__all__ = [
    "checks", "config", "cycle", "cycles", "diff", "hits", "log_line", "plan", "status", "suites",
    "version", "versions",
]  # fmt: skip

Facts = Mapping[str, Any]
Rows = Sequence[Facts]

_DIGITS = 3


def status(root: str, facts: Facts) -> None:
    """The state of a data root, most urgent first."""
    daemon, version, cycle = facts["daemon"], facts["version"], facts["cycle"]
    up = f"up (pid {daemon['pid']}, since {_time(daemon['since'])})" if daemon["up"] else "down; `cld start` starts it"
    for pause in facts["paused"]:
        console.say(f"PAUSED ({pause['code']}, since {_time(pause['since'])}): {pause['reason']}")
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
        "pool": f"{waiting}; {contested}{pool['quarantined']} quarantined",
        **{f"verdict on {row['version']}": _verdict_line(row) for row in facts["verdicts"]},
        "breaker": f"{facts['breaker']['bad_cycles_in_a_row']} bad cycles in a row",
    }
    if facts["commands"]["pending"]:
        lines["commands"] = f"{facts['commands']['pending']} wait for the daemon"
    console.lines("", lines)


def _cycle_line(cycle: Facts) -> str:
    how = f" {cycle['stage']} with {cycle['method']}" if cycle["stage"] else ""
    wait = f"; `cld plan show {cycle['id']}`, then `cld approve` or `cld reject`"
    held = f"{cycle['reason'] or ''}{wait}" if cycle["state"] == "awaiting_approval" else ""
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
    reasons = "; ".join(row["reasons"][:2])
    return f"{row['verdict']} ({row['cycle']}, {row['phase']}){f': {reasons}' if reasons else ''}"


def log_line(line: Facts) -> None:
    """One event of the daemon's log."""
    console.say(f"{_time(line.get('timestamp'))} {line.get('level', ''):<7} {line.get('event', '')}")


def cycles(rows: Rows) -> None:
    """A table of cycles."""
    columns = ("cycle", "state", "stage", "method", "candidate", "verdict", "started", "reason")
    console.table(
        columns,
        [
            (row["id"], row["state"], row["stage"], row["method"], row["candidate"], row["verdict"],
             _time(row["started_at"]), _short(row["reason"]))
            for row in rows
        ],
        empty="no cycle yet; `cld cycle run` starts one",
    )  # fmt: skip


def cycle(found: Facts) -> None:
    """Everything about one cycle."""
    names = ("state", "trigger", "stage", "method", "parent", "anchor", "candidate", "records", "reason")
    times = {name: _time(found[name]) for name in ("started_at", "ended_at")}
    console.lines(found["id"], {**{name: found[name] for name in names}, **times})
    for gap in found["gaps"]:
        console.say(f"  gap: {gap['topic']} ({gap['information_kind']}, severity {gap['severity']:.2f})")
    for item in found["set_aside"]:
        how = f"{item['by']}, {item['degree']:.2f}"
        console.say(f"  set aside: {item['suite']}/{item['probe']}, given away by record {item['record']} ({how})")
    if found["verdict"]:
        console.say(f"  verdict: {found['verdict'].get('verdict')}: {'; '.join(found['verdict'].get('reasons', ()))}")
    for word in found["decisions"]:
        console.say(f"  {word['who']}: {word['decision']}: {word['why']}")
    console.table(
        ("job", "state", "attempts", "reason", "seconds", "energy kWh"),
        [(job["id"], job["state"], job["attempts"], job["reason"], *_usage(job["usage"])) for job in found["jobs"]],
        empty="  no job yet",
    )
    for event in found["events"]:
        console.say(f"  {_time(event['at'])} {event['who']}: {event['action']}: {_short(event['why'])}")


def plan(found: Facts) -> None:
    """A plan and what it beat."""
    document: Facts = found["plan"]
    lists = ("alternatives", "records", "held_out", "held_out_records", "settings", "decided_by", "reason", "norms")
    settings = ", ".join(f"{key} = {value}" for key, value in document.get("settings", {}).items())
    touched: Rows = document.get("norms", ())
    counts = {name: len(document[name]) for name in ("records", "held_out") if name in document}
    simple = {name: value for name, value in document.items() if name not in lists}
    decided = {"decided by": found["decided_by"], "reason": found["reason"]}
    console.lines(f"plan of {found['cycle']}", {**simple, **counts, "settings": settings, **decided})
    values_view.touched(touched)
    for other in document.get("alternatives", ()):
        console.say(f"  instead of: {_inline(other)}")


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
    console.lines(found["id"], {**{name: found[name] for name in names}, "marks": _marks(found) or None})
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
            f"by {move['who']}: {_short(move['why'])}"
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
        console.say(f"  {name}: {old} -> {new}")
    console.table(
        ("suite", "role", "probes", before, after, "change"),
        [
            (row["suite"], row["role"], row["items"], *_change(row), f"{row['delta']:+.{_DIGITS}f}")
            for row in found["suites"]
        ],
        empty=f"{before} and {after} were never measured on the same suite",
    )
    console.table(
        ("suite", "probe", "slice", before, after),
        [(row["suite"], row["probe"], row["slice"], *_change(row)) for row in found["items"]],
        empty="no probe changed",
    )


def _change(row: Facts) -> tuple[str, str]:
    return f"{row['before']:.{_DIGITS}f}", f"{row['after']:.{_DIGITS}f}"


def hits(rows: Rows) -> None:
    """What a search found, nearest first."""
    for row in rows:
        about = ", ".join(str(row[name]) for name in ("stage", "verdict") if row[name])
        console.say(
            f"{row['score']:.2f}  {row['id']} ({_time(row['when'])}{f', {about}' if about else ''}): {row['title']}"
        )
        console.say(f"      {_short(row['text'], 300)}")
    if not rows:
        console.say("nothing in the history answers that")


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
    if value is None:
        return "-"
    try:
        return console.moment(datetime.fromisoformat(value) if isinstance(value, str) else value) or "-"
    except ValueError:
        return str(value)


def _short(text: str | None, most: int = 100) -> str:
    text = " ".join((text or "").split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _usage(usage: Facts | None) -> tuple[str, str]:
    energy = (usage or {}).get("energy_kwh")
    seconds = (usage or {}).get("wall_seconds")
    return ("-" if seconds is None else f"{seconds:.1f}"), ("-" if energy is None else f"{energy:.5f} (estimate)")


def _marks(row: Facts) -> str:
    return ", ".join(mark for mark in ("pinned", "anchor") if row[mark])


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item not in (None, (), [], {}))  # pyright: ignore[reportUnknownVariableType]
    return str(value)
