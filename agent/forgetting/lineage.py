"""The lineage of records: which versions learned them, by the plans of the cycles that made these versions.

A version holds what its parent held and what its own plan's records taught it, less what a plan of stage `forget` took
away. Called by everything that asks what a request concerns; reads the store alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.history.diff import line
from agent.store import Session, cycles, deployment, plans, versions
from agent.store.versions import Version

__all__ = ["Lineage", "Turn", "holdings", "trace"]


@dataclass(frozen=True)
class Turn:
    """One cycle of the serving version's line that learned some of the records (or, of stage `forget`, unlearned)."""

    cycle: str
    version: str
    parent: str
    stage: str
    method: str
    records: frozenset[str]


@dataclass(frozen=True)
class Lineage:
    """What became of some records.

    Attributes:
        serving: the version that serves.
        learned: those that it knows.
        taught: the cycles of its line that learned some, oldest first; `unlearned` those that took some away.
        clean: the newest version of the line before the first of these that still has files.
        holders: every version that knows some, with its state, oldest first.
    """

    serving: str
    learned: frozenset[str]
    taught: tuple[Turn, ...]
    unlearned: tuple[Turn, ...]
    clean: str | None
    holders: tuple[Version, ...]


def trace(tx: Session, ids: Collection[str]) -> Lineage:
    """The lineage of the records `ids`.

    Raises:
        NotFound: no version serves yet.
    """
    serving = deployment.current(tx).version
    held = holdings(tx, ids)
    oldest_first = line(tx, versions.get(tx, serving))[::-1]
    found = [turn for version in oldest_first for turn in _turns(tx, version, frozenset(ids))]
    taught = tuple(turn for turn in found if turn.stage != "forget")
    return Lineage(
        serving=serving,
        learned=held[serving],
        taught=taught,
        unlearned=tuple(turn for turn in found if turn.stage == "forget"),
        clean=_clean(oldest_first, taught),
        holders=tuple(row for row in reversed(versions.listing(tx)) if held[row.id]),
    )


def holdings(tx: Session, ids: Collection[str]) -> dict[str, frozenset[str]]:
    """Which of the records `ids` each version knows, by version."""
    wanted, found = frozenset(ids), dict[str, frozenset[str]]()
    for row in reversed(versions.listing(tx)):
        before = found.get(row.parent or "", frozenset())
        here = _planned(tx, row) & wanted
        found[row.id] = before - here if row.stage == "forget" else before | here
    return found


def _turns(tx: Session, version: Version, ids: frozenset[str]) -> Iterator[Turn]:
    here = _planned(tx, version) & ids
    if here and version.cycle and version.parent:
        stage, method = version.stage or "", version.method or ""
        yield Turn(version.cycle, version.id, version.parent, stage, method, here)


def _planned(tx: Session, version: Version) -> frozenset[str]:
    """What a version's own training was about; of one that a replay made on its way, what that job learned."""
    row = plans.find(tx, version.cycle) if version.cycle else None
    plan: Mapping[str, Any] = row.plan if row else {}
    if row is not None and plan.get("replay") and version.stage != "forget":
        plan = plan["replay"][version.number - cycles.get(tx, row.cycle).number]
    return frozenset(plan.get("records", ()))


def _clean(oldest_first: list[Version], taught: tuple[Turn, ...]) -> str | None:
    first = taught[0].version if taught else None
    before: list[Version] = []
    for version in oldest_first:
        if version.id == first:
            break
        before.append(version)
    whole = [version.id for version in before if version.state in ("candidate", "kept")]
    return whole[-1] if whole else None
