"""What `cld probe relearn SUITE` does: show what a few steps bring back of a loss, measuring first what is not yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agent.cli import console
from agent.cli.measured_report import measured
from agent.cli.place import Place
from agent.probing import relearn
from agent.probing.relearn import RelearnReport
from agent.store import deployment
from monitors.relearned import Relearned

__all__ = ["Words", "run"]


class Words(NamedTuple):
    """The words of the command; None where one was left out."""

    suite: str
    version: str | None
    since: str | None
    steps: int


def run(place: Place, asked: Words, *, why: str, dry_run: bool, as_json: bool) -> None:
    """Show the report; ask the daemon for what it lacks.

    Raises:
        NotFound: there is no such suite or version. Refused: the suite cannot teach, or there is nothing earlier.
    """
    found = measured(
        place, lambda: _report(place, asked), _args, what=lambda found: f"{found.suite} and {found.steps} steps on it",
        then="what comes back", why=why, dry_run=dry_run, as_json=as_json,
    )  # fmt: skip
    if found is not None:
        console.json_read(relearn=found.as_dict()) if as_json else _show(found, found.told)


def _args(found: RelearnReport) -> dict[str, str | int]:
    return {"relearn": found.suite, "since": found.since, "steps": found.steps}


def _report(place: Place, asked: Words) -> RelearnReport:
    with place.store.read() as tx:
        wanted = asked.version or deployment.current(tx).version
        return relearn.report(tx, place.layout, place.config, asked.suite, wanted, asked.since, asked.steps)


def _show(found: RelearnReport, told: Relearned | None) -> None:
    if told is None:
        return
    console.say(f"{found.suite}, {told.items} items that were not trained on, before and after {found.steps} steps")
    rows = [(found.since, _score(told.before), "-"), (found.version, _score(told.forgotten), _score(told.after))]
    if found.initial is not None:
        rows.append((f"{found.initial} (initial)", _score(told.initial), _score(told.initial_after)))
    console.table(("version", "as it is", f"after {found.steps} steps"), rows, empty="")
    for sentence in _sentences(found, told):
        console.say(sentence)


def _sentences(found: RelearnReport, told: Relearned) -> Iterator[str]:
    """What the table means."""
    low, high = told.lost
    change = f"since {found.since}: {told.forgotten - told.before:+.3f} (between {low:+.3f} and {high:+.3f})"
    if not told.is_clear or told.recovery is None:
        yield f"{change}; no clear loss, so nothing that could come back"
        return
    yield f"lost {change}; {told.recovery:.0%} of it came back"
    if told.initial is not None and told.initial_after is not None:
        gained = told.initial_after - told.initial
        yield f"{found.initial} gained {gained:+.3f} in the same steps: so much is learned and not remembered"


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.3f}"
