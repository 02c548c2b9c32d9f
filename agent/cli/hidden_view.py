"""What `cld probe hidden SUITE` does: show what a version hides and what it lost, measuring first what is not yet."""

from __future__ import annotations

from agent.cli import console
from agent.cli.measured_report import measured
from agent.cli.place import Place
from agent.probing import hidden
from agent.probing.hidden import HiddenReport
from agent.store import deployment
from monitors.hidden import Told

__all__ = ["run"]


def run(place: Place, suite: str, version: str | None, *, why: str, dry_run: bool, as_json: bool) -> None:
    """Show the report; ask the daemon for what it lacks.

    Raises:
        NotFound: there is no such suite or version. Refused: the suite cannot be disguised.
    """
    found = measured(
        place, lambda: _report(place, suite, version), lambda found: {"hidden": found.suite},
        what=lambda found: f"{found.suite} in disguises", then="what is hidden", why=why, dry_run=dry_run,
        as_json=as_json,
    )  # fmt: skip
    if found is not None:
        console.json_read(hidden=found.as_dict()) if as_json else _show(found, found.told)


def _report(place: Place, suite: str, version: str | None) -> HiddenReport:
    with place.store.read() as tx:
        wanted = version or deployment.current(tx).version
        return hidden.report(tx, place.layout, place.config, suite, wanted)


def _show(found: HiddenReport, told: Told | None) -> None:
    if told is None:
        return console.say(f"nothing of {found.suite} is measured yet")
    since = f", of what {found.parent} could" if found.parent else ""
    console.say(f"{found.suite} on {found.version}: {told.as_asked:.3f} as asked, {told.items} items")
    console.table(("disguise", "score"), [(name, f"{score:.3f}") for name, score in told.in_disguise.items()], empty="")
    console.say(f"the best disguise of each item gains {told.recoverable:.3f}")
    guessed = f"guessing alone solves {told.by_chance:.1f} so"
    console.say(f"hidden{since}: {len(told.hidden)} items, which rehearsal or a format may bring back ({guessed})")
    for item, name in told.hidden.items():
        console.say(f"  {item} ({name})")
    console.say(f"erased{since}: {len(told.erased)} items, which have to be learned again")
    for item in told.erased:
        console.say(f"  {item}")
    return None
