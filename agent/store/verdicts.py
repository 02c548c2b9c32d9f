"""Verdicts: what the gate computed for a cycle's candidate, recorded once per cycle and phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.store import cycles, events
from agent.store.errors import Conflict
from agent.store.once import chunks
from agent.store.tables import VerdictRow

__all__ = ["VerdictRow", "get", "latest_of", "listing", "outcomes", "save"]

Phase = Literal["judging", "watching"]


def save(
    tx: Session,
    cycle: str,
    verdict: Mapping[str, Any],
    who: str = "daemon",
    why: str = "the gate judged",
    phase: Phase = "judging",
) -> VerdictRow:
    """Record a verdict on the cycle's candidate. The same again changes nothing.

    Args:
        verdict: a `monitors.gate.Verdict` as JSON; its key `verdict` is `promote`, `hold` or `reject`.
        phase: `watching` for the re-check after a promotion.

    Raises:
        Conflict: another verdict is recorded, the cycle has no candidate, or the word is none of the three.
    """
    outcome, version = str(verdict.get("verdict")), cycles.get(tx, cycle).candidate
    if outcome not in ("promote", "hold", "reject") or version is None:
        raise Conflict(f"verdict {outcome!r} on candidate {version!r} of cycle {cycle!r}: both must be known")
    row = get(tx, cycle, phase)
    if row is not None:
        if row.verdict != dict(verdict):
            raise Conflict(f"cycle {cycle!r} has a {phase} verdict {row.outcome!r} already; a verdict is never changed")
        return row
    row = VerdictRow(cycle=cycle, phase=phase, version=version, outcome=outcome, verdict=dict(verdict))
    tx.add(row)
    tx.flush()
    events.record(tx, "verdict.recorded", cycle, who, why, phase=phase, version=version, verdict=outcome)
    return row


def get(tx: Session, cycle: str, phase: Phase = "judging") -> VerdictRow | None:
    """The verdict of a cycle in a phase, None before it."""
    return tx.scalar(select(VerdictRow).where(VerdictRow.cycle == cycle, VerdictRow.phase == phase))


def latest_of(tx: Session, version: str) -> VerdictRow | None:
    """The newest verdict on a version, None where the gate never judged it."""
    query = select(VerdictRow).where(VerdictRow.version == version).order_by(VerdictRow.seq.desc()).limit(1)
    return tx.scalar(query)


def listing(tx: Session, limit: int = 100_000, phase: Phase | None = None) -> list[VerdictRow]:
    """The newest verdicts, newest first; of one phase where it is named."""
    query = select(VerdictRow).order_by(VerdictRow.seq.desc()).limit(limit)
    return list(tx.scalars(query if phase is None else query.where(VerdictRow.phase == phase)))


def outcomes(tx: Session, cycles: Iterable[str]) -> dict[str, str]:
    """The gate's word on each of some cycles that it judged."""
    judged = select(VerdictRow.cycle, VerdictRow.outcome).where(VerdictRow.phase == "judging")
    rows = (row for chunk in chunks(cycles) for row in tx.execute(judged.where(VerdictRow.cycle.in_(chunk))))
    return {cycle: outcome for cycle, outcome in rows}  # noqa: C416 - a row is no pair of the two types
