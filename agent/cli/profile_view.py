"""What `cld probe run --profile NAME` does: show a profile's deltas, measuring first what is not measured yet."""

from __future__ import annotations

from agent import profiles
from agent.cli import console
from agent.cli.changes import finish
from agent.cli.place import Place
from agent.commands import ask
from agent.profiles import ProfileReport
from agent.store import commands, deployment

__all__ = ["run"]


def run(place: Place, name: str, version: str | None, *, why: str, dry_run: bool, as_json: bool) -> None:
    """Show the report; ask the daemon for what it lacks.

    Raises:
        NotFound: there is no such profile or version. Refused: none of its suites is there.
    """
    found = _report(place, name, version)
    if found.unmeasured and dry_run:
        message = f"{found.unmeasured} measurements of {found.version} and {found.initial} would be made"
        return finish("probe_run", found.version, "would_apply", message, found.as_dict(), as_json=as_json)
    if found.unmeasured:
        outcome, message = _measure(place, found, why)
        if outcome != "applied":
            return finish("probe_run", found.version, outcome, message, found.as_dict(), as_json=as_json)
        found = _report(place, name, version)
    return console.json_read(profile=found.as_dict()) if as_json else _show(found)


def _report(place: Place, name: str, version: str | None) -> ProfileReport:
    with place.store.read() as tx:
        wanted = version or deployment.current(tx).version
        return profiles.report(tx, place.layout, place.config, profiles.named(name), wanted)


def _measure(place: Place, found: ProfileReport, why: str) -> tuple[str, str]:
    """Ask the daemon, unless the same was asked and waits already; returns outcome and message."""
    args = {"target": found.version, "profile": found.profile}
    with place.store.read() as tx:
        waiting = [row.id for row in commands.pending(tx) if args.items() <= row.args.items()]
    if waiting:
        return "queued", f"command {waiting[0]} measures it; then the same words show the deltas"
    reply = ask(place.store, place.layout, place.config, "probe_run", {**args, "why": why}, place.who)
    later = "; then the same words show the deltas" if reply.outcome == "queued" else ""
    return reply.outcome, f"{reply.message}{later}"


def _show(found: ProfileReport) -> None:
    console.say(f"{found.profile}: {found.version} against {found.initial}, negative is damage")
    console.table(
        ("delta", "change", "at least", "at most", "suites", "outcome"),
        [
            (row.name, *map(_signed, (row.delta, row.low, row.high)), ", ".join(row.suites), row.outcome)
            for row in found.deltas
        ],
        empty="  nothing is measured yet",
    )
    _show_suites(found)
    for name in found.missing:
        console.say(f"  missing: {name}: cld data fetch {name}")


def _show_suites(found: ProfileReport) -> None:
    console.table(
        ("suite", "items", "before", "after", "change", "note"),
        [
            (row.suite, row.items, _plain(row.before), _plain(row.after), _signed(row.score_delta), row.note)
            for row in found.suites
        ],
        empty="",
    )
    if found.ifeval:
        console.lines("IFEval", {name.replace("_", ", "): _plain(value) for name, value in found.ifeval.items()})


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+.3f}"


def _plain(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
