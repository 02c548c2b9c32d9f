"""Lessons: what finished cycles taught the planner, one per cycle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.store import events
from agent.store.tables import Cycle, Lesson

__all__ = ["Lesson", "add", "listing"]


def add(
    tx: Session,
    cycle: str,
    text: str,
    facts: Mapping[str, Any] | None = None,
    who: str = "daemon",
    why: str = "the cycle ended",
) -> Lesson:
    """Record the lesson of a cycle. The first one stands; a second call changes nothing."""
    row = tx.get(Lesson, cycle)
    if row is not None:
        return row
    row = Lesson(cycle=cycle, text=text, facts=dict(facts or {}))
    tx.add(row)
    tx.flush()
    events.record(tx, "lesson.learned", cycle, who, why)
    return row


def listing(tx: Session, limit: int = 100) -> list[Lesson]:
    """The newest lessons, newest first."""
    query = select(Lesson).join(Cycle, Cycle.id == Lesson.cycle).order_by(Cycle.number.desc()).limit(limit)
    return list(tx.scalars(query))
