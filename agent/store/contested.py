"""Contested records: what groups of people judge in opposite ways is kept out of cycles until a person decides.

record:  waiting -> contested -> waiting, to be learned | refused        on somebody's word (`decide`)

A decision is an event about a prompt. It stands until the next one, so that what arrives later follows it, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from agent.store import events
from agent.store.decisions import require_person
from agent.store.once import chunks
from agent.store.tables import Event, PooledRecord, RecordState

__all__ = ["JUDGED", "Decision", "decide", "decisions", "move", "rows"]

JUDGED: Final = ("preference", "feedback")
"""Kinds of records that say what people think of an answer."""

_DECIDED: Final = "disagreement.settled"


@dataclass(frozen=True)
class Decision:
    """A person's word on a prompt.

    Attributes:
        group: whose side is learned for all; None: every side, with its group stated.
    """

    group: str | None
    who: str
    why: str
    at: datetime


def rows(tx: Session, state: RecordState, limit: int, *, grouped: bool = False) -> list[PooledRecord]:
    """The newest preferences and feedback in one state, newest first of each kind; `grouped`: that name a group."""
    found: list[PooledRecord] = []
    for kind in JUDGED:
        query = select(PooledRecord).where(PooledRecord.state == state, PooledRecord.kind == kind)
        if grouped:
            query = query.where(PooledRecord.content["group"].as_string().is_not(None))
        found += tx.scalars(query.order_by(PooledRecord.seq.desc()).limit(limit))
    return found


def move(
    tx: Session,
    state: Literal["waiting", "contested"],
    to: Literal["waiting", "contested", "refused"],
    ids: Iterable[str],
    who: str,
    why: str,
) -> int:
    """Move records from one state to another; return how many were in it. Others are left alone."""
    moved = 0
    for chunk in chunks(ids):
        where = PooledRecord.id.in_(chunk) & (PooledRecord.state == state)
        found = len(list(tx.scalars(select(PooledRecord.seq).where(where))))
        tx.execute(update(PooledRecord).where(where).values(state=to).execution_options(synchronize_session="fetch"))
        moved += found
    if moved:
        events.record(tx, f"pool.{to}", "pool", who, why, records=moved)
    return moved


def decide(tx: Session, prompt: str, group: str | None, who: str, why: str) -> Decision:
    """Record a person's word on a prompt.

    Args:
        prompt: its id.
        group: see `Decision`.

    Raises:
        UnnamedChange: `who` is not a person's name.
    """
    require_person(who, "settle a disagreement")
    row = events.record(tx, _DECIDED, prompt, who, why, group=group)
    return Decision(group, who, why, row.at)


def decisions(tx: Session, prompts: Iterable[str]) -> dict[str, Decision]:
    """The newest word on each prompt, by id; without those on which nobody decided."""
    found: dict[str, Decision] = {}
    for chunk in chunks(prompts):
        query = select(Event).where(Event.subject.in_(chunk), Event.action == _DECIDED).order_by(Event.seq)
        for row in tx.scalars(query):
            found[row.subject] = Decision(row.detail.get("group"), row.who, row.why, row.at)
    return found
