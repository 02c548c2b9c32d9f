"""Events: every state change with who, when and why, for ever (promise P10). Triggers refuse to change or delete one.

Every function of the store that changes state calls `record` in the same transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.store.errors import UnnamedChange
from agent.store.tables import Event

__all__ = ["Event", "listing", "record"]


def record(tx: Session, action: str, subject: str, who: str, why: str, **detail: Any) -> Event:
    """Append one event.

    Args:
        action: noun and participle, e.g. `cycle.moved`.
        subject: id of what changed, e.g. `c7`.
        who: `daemon`, or a person's name.

    Raises:
        UnnamedChange: `who` is empty.
    """
    if not who.strip():
        raise UnnamedChange(f"{action!r} of {subject!r} came without a name: every change names who made it")
    event = Event(action=action, subject=subject, who=who, why=why, detail=detail)
    tx.add(event)
    tx.flush()
    return event


def listing(tx: Session, subject: str | None = None, after: int = 0, limit: int = 100) -> list[Event]:
    """Events with `seq` above `after`, oldest first, at most `limit`; of one subject if named."""
    query = select(Event).where(Event.seq > after).order_by(Event.seq).limit(limit)
    if subject is not None:
        query = query.where(Event.subject == subject)
    return list(tx.scalars(query))
