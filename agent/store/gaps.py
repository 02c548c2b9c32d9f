"""Gaps that cycles found, recorded once per cycle."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.store import events
from agent.store.tables import GapRow
from monitors.job import Gap

__all__ = ["GapRow", "listing", "of_cycle", "save"]


def save(
    tx: Session, cycle: str, gaps: Iterable[Gap], who: str = "daemon", why: str = "the diagnosis finished"
) -> None:
    """Record the gaps of a cycle, most severe first. A second call changes nothing."""
    if tx.scalar(select(GapRow.rank).where(GapRow.cycle == cycle).limit(1)) is not None:
        return
    rows = [
        GapRow(
            cycle=cycle,
            rank=rank,
            gap=gap.id,
            topic=gap.topic,
            information_kind=gap.information_kind,
            severity=gap.severity,
            evidence=list(gap.evidence),
            records=list(gap.records),
        )
        for rank, gap in enumerate(gaps)
    ]
    tx.add_all(rows)
    events.record(tx, "gaps.found", cycle, who, why, gaps=len(rows))


def of_cycle(tx: Session, cycle: str) -> list[Gap]:
    """The gaps of a cycle, most severe first."""
    rows = tx.scalars(select(GapRow).where(GapRow.cycle == cycle).order_by(GapRow.rank))
    return [_gap(row) for row in rows]


def listing(tx: Session, limit: int = 100_000) -> list[GapRow]:
    """All gaps with their cycle; for the history index."""
    return list(tx.scalars(select(GapRow).order_by(GapRow.cycle, GapRow.rank).limit(limit)))


def _gap(row: GapRow) -> Gap:
    columns = {
        "id": row.gap,
        "topic": row.topic,
        "information_kind": row.information_kind,
        "severity": row.severity,
        "evidence": row.evidence,
        "records": row.records,
    }
    return Gap.model_validate(columns)
