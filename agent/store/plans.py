"""Plans: what a cycle will learn and how, recorded once per cycle; `Plan.plan` is the planner's own document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import events
from agent.store.errors import Conflict
from agent.store.tables import Cycle, Plan

__all__ = ["Plan", "find", "get", "listing", "norms_of", "save"]


def save(tx: Session, cycle: str, plan: Mapping[str, Any], decided_by: str, reason: str, who: str = "daemon") -> Plan:
    """Record the plan of a cycle. The same again changes nothing.

    Args:
        decided_by: `model`, `rules`, or the person that chose.

    Raises:
        Conflict: the cycle has another plan.
    """
    row = tx.get(Plan, cycle)
    if row is not None:
        if row.plan != dict(plan):
            raise Conflict(f"cycle {cycle!r} has a plan already and a plan is recorded once; `cld plan show {cycle}`")
        return row
    row = Plan(cycle=cycle, plan=dict(plan), decided_by=decided_by, reason=reason)
    tx.add(row)
    tx.flush()
    events.record(tx, "plan.decided", cycle, who, reason, decided_by=decided_by)
    return row


def find(tx: Session, cycle: str) -> Plan | None:
    """The plan of a cycle, None before it has one."""
    return tx.get(Plan, cycle)


def get(tx: Session, cycle: str) -> Plan:
    """The plan of a cycle.

    Raises:
        NotFound: it has none.
    """
    row = find(tx, cycle)
    if row is None:
        raise NotFound(f"cycle {cycle!r} has no plan; `cld plan show` without an id shows the newest one")
    return row


def norms_of(tx: Session, cycle: str | None) -> Sequence[Mapping[str, Any]]:
    """The norms that a cycle's plan touches, as the planner wrote them; none without a cycle or a plan."""
    row = find(tx, cycle) if cycle else None
    return row.plan.get("norms", ()) if row else ()


def listing(tx: Session, limit: int = 100) -> list[Plan]:
    """The newest plans, newest first."""
    query = select(Plan).join(Cycle, Cycle.id == Plan.cycle).order_by(Cycle.number.desc()).limit(limit)
    return list(tx.scalars(query))
