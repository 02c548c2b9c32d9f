"""Cycles: the persisted state machine of the loop. `observing` is: there is no active cycle (promise P5: at most one).

Owns the table of legal arrows and the compare-and-swap that walks them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import events, pool
from agent.store.errors import ActiveCycleExists, IllegalTransition, StaleState
from agent.store.tables import Cycle, CycleState, Version, now

__all__ = ["ENDINGS", "LEGAL", "Cycle", "CycleState", "active", "create", "get", "listing", "transition"]

LEGAL: Final[dict[CycleState, frozenset[CycleState]]] = {
    "diagnosing": frozenset({"planning", "no_action", "failed", "aborted"}),
    "planning": frozenset({"awaiting_approval", "curating", "no_action", "failed", "aborted"}),
    "awaiting_approval": frozenset({"curating", "promoting", "rejected", "failed", "aborted"}),
    "curating": frozenset({"training", "no_action", "failed", "aborted"}),
    "training": frozenset({"measuring", "failed", "aborted"}),
    "measuring": frozenset({"judging", "failed", "aborted"}),
    "judging": frozenset({"measuring", "promoting", "awaiting_approval", "rejected", "failed", "aborted"}),
    "promoting": frozenset({"watching", "rejected", "failed", "aborted"}),
    "watching": frozenset({"done", "rolled_back", "failed", "aborted"}),
    "done": frozenset(),
    "rejected": frozenset(),
    "rolled_back": frozenset(),
    "failed": frozenset(),
    "aborted": frozenset(),
    "no_action": frozenset(),
}
"""Every arrow; `awaiting_approval` leads only to its `resume_state` or to an ending."""

ENDINGS: Final = frozenset(state for state, after in LEGAL.items() if not after)

_COLUMNS: Final = frozenset(
    {"stage", "method", "parent", "anchor", "candidate", "resume_state", "reason", "started_at", "ended_at", "seconds"}
)


def create(tx: Session, trigger: str, who: str, why: str, pool_ids: Iterable[str] = ()) -> Cycle:
    """Begin a cycle in `diagnosing` and claim `pool_ids` for it.

    Raises:
        ActiveCycleExists: one is under way.
        StaleState: one of the records is not waiting any more.
    """
    current = active(tx)
    if current is not None:
        raise ActiveCycleExists(
            f"cycle {current.id!r} is {current.state}: one cycle at a time; wait, or `cld cycle abort {current.id}`"
        )
    number = _next_number(tx)
    cycle = Cycle(id=f"c{number}", number=number, state="diagnosing", active=True, trigger=trigger)
    tx.add(cycle)
    tx.flush()
    events.record(tx, "cycle.created", cycle.id, who, why, trigger=trigger)
    pool.claim(tx, cycle.id, pool_ids, who, why)
    return cycle


def _next_number(tx: Session) -> int:
    """The cycle's and its version's: one that neither has; a cycle that replayed has used several for versions."""
    made = select(func.max(Version.number)).where(Version.cycle.is_not(None))
    return max(tx.scalar(select(func.max(Cycle.number))) or 0, tx.scalar(made) or 0) + 1


def active(tx: Session) -> Cycle | None:
    """The cycle under way, None while observing."""
    return tx.scalar(select(Cycle).where(Cycle.active.is_(True)).execution_options(populate_existing=True))


def get(tx: Session, cycle_id: str) -> Cycle:
    """One cycle.

    Raises:
        NotFound: no such cycle.
    """
    cycle = tx.get(Cycle, cycle_id, populate_existing=True)
    if cycle is None:
        raise NotFound(f"there is no cycle {cycle_id!r}; `cld cycle list` shows those there are")
    return cycle


def listing(tx: Session, limit: int = 100) -> list[Cycle]:
    """The newest cycles, newest first."""
    return list(tx.scalars(select(Cycle).order_by(Cycle.number.desc()).limit(limit)))


def transition(
    tx: Session, cycle_id: str, expected: CycleState, to: CycleState, who: str, why: str, **columns: Any
) -> Cycle:
    """Walk one arrow, if the cycle still stands where the caller saw it.

    Args:
        columns: facts that the step found out: stage, method, parent, anchor, candidate, resume_state (required for
            `awaiting_approval`), reason, seconds. `reason` defaults to `why`.

    Raises:
        IllegalTransition: the table has no such arrow.
        StaleState: the cycle is in another state than `expected`.
    """
    cycle = get(tx, cycle_id)
    _check(cycle, expected, to, columns)
    values = {"reason": why, "resume_state": None, **columns, "state": to, "active": None if to in ENDINGS else True}
    if to in ENDINGS:
        values.setdefault("ended_at", now())
    changed = update(Cycle).where(Cycle.id == cycle_id, Cycle.state == expected).values(**values).returning(Cycle.id)
    if tx.scalar(changed.execution_options(synchronize_session=False)) is None:
        raise StaleState(f"cycle {cycle_id!r} left {expected!r} meanwhile; `cld cycle show {cycle_id}` shows it")
    events.record(tx, "cycle.moved", cycle_id, who, why, before=expected, after=to)
    return get(tx, cycle_id)


def _check(cycle: Cycle, expected: str, to: CycleState, columns: dict[str, Any]) -> None:
    if unknown := columns.keys() - _COLUMNS:
        raise IllegalTransition(f"a cycle has no {sorted(unknown)!r}; it has {sorted(_COLUMNS)!r}")
    if cycle.state != expected:
        raise StaleState(
            f"cycle {cycle.id!r} is {cycle.state!r}, not {expected!r}: it moved on meanwhile; "
            f"`cld cycle show {cycle.id}` shows it"
        )
    if to not in LEGAL[cycle.state]:
        raise IllegalTransition(
            f"cycle {cycle.id!r} cannot go from {expected!r} to {to!r}; from there it may go to "
            f"{sorted(LEGAL[cycle.state])!r}"
        )
    if expected == "awaiting_approval" and to not in ENDINGS and to != cycle.resume_state:
        raise IllegalTransition(f"cycle {cycle.id!r} waits for {cycle.resume_state!r}: approval leads nowhere else")
    if to == "awaiting_approval" and columns.get("resume_state") not in LEGAL[to] - ENDINGS:
        raise IllegalTransition(
            f"cycle {cycle.id!r} must say what approval leads to (resume_state curating or promoting), "
            f"not {columns.get('resume_state')!r}"
        )
