"""What `cld probe run --profile NAME` does: show a profile's deltas, measuring first what is not measured yet."""

from __future__ import annotations

from agent.cli import console
from agent.cli.measured_report import measured
from agent.cli.place import Place
from agent.probing import profiles
from agent.probing.profiles import ProfileReport
from agent.store import deployment

__all__ = ["run"]


def run(place: Place, name: str, version: str | None, *, why: str, dry_run: bool, as_json: bool) -> None:
    """Show the report; ask the daemon for what it lacks.

    Raises:
        NotFound: there is no such profile or version. Refused: none of its suites is there.
    """
    found = measured(
        place, lambda: _report(place, name, version), lambda found: {"profile": found.profile},
        what=lambda found: f"{found.version} and {found.initial}", then="the deltas", why=why, dry_run=dry_run,
        as_json=as_json,
    )  # fmt: skip
    if found is not None:
        console.json_read(profile=found.as_dict()) if as_json else _show(found)


def _report(place: Place, name: str, version: str | None) -> ProfileReport:
    with place.store.read() as tx:
        wanted = version or deployment.current(tx).version
        return profiles.report(tx, place.layout, place.config, profiles.named(name), wanted)


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
