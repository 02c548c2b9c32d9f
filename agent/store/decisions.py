"""Decisions: a person's word on a plan or a candidate. Only people decide here; the gate's word is a verdict."""

from __future__ import annotations

from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.store import events
from agent.store.errors import UnnamedChange
from agent.store.tables import Decision

__all__ = ["Decision", "Word", "latest_of", "of_cycle", "record", "require_person"]

Word = Literal["approve", "reject"]

_PROGRAMS: Final = frozenset({"daemon", "gate", "planner", "rules", "model", "cld"})
"""Names that are no person's, so none of them may approve (promise P3)."""


def require_person(who: str, deed: str) -> None:
    """What only a person may do is done under a person's name.

    Args:
        deed: what `who` cannot do otherwise, for the message.

    Raises:
        UnnamedChange: `who` is nobody, or a program.
    """
    if not who.strip() or who.strip().lower() in _PROGRAMS:
        raise UnnamedChange(f"{who!r} cannot {deed}: a person's name is needed (`--as NAME`)")


def record(tx: Session, cycle: str | None, decision: Word, who: str, why: str, version: str | None = None) -> Decision:
    """Append a decision.

    Args:
        cycle: the cycle it is about; None where a person promotes an older version outside a cycle.
        version: the candidate it is about; None: the plan.

    Raises:
        UnnamedChange: `who` is not a person's name.
    """
    require_person(who, decision)
    row = Decision(cycle=cycle, version=version, decision=decision, who=who, why=why)
    tx.add(row)
    tx.flush()
    subject = version or cycle or ""
    events.record(tx, f"decision.{decision}", subject, who, why, cycle=cycle, version=version)
    return row


def of_cycle(tx: Session, cycle: str) -> list[Decision]:
    """Decisions on a cycle, oldest first."""
    return list(tx.scalars(select(Decision).where(Decision.cycle == cycle).order_by(Decision.seq)))


def latest_of(tx: Session, version: str) -> Decision | None:
    """The newest decision on a version, None where nobody decided."""
    query = select(Decision).where(Decision.version == version).order_by(Decision.seq.desc()).limit(1)
    return tx.scalar(query)
