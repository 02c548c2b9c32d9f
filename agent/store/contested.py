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

__all__ = ["JUDGED", "Decision", "asked_as", "decide", "decisions", "follow", "move", "rows"]

JUDGED: Final = ("preference", "feedback")
"""Kinds of records that say what people think of an answer."""

_DECIDED: Final = "disagreement.settled"
_FOLLOWED: Final = "disagreement.followed"


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


def follow(tx: Session, prompt: str, decision: Decision, asked_as: str, who: str) -> None:
    """Record that a prompt asks in other words what somebody decided on, so that the word stands for it, too.

    Args:
        prompt, asked_as: ids of the prompt and of the one that the decision is about.
        who: that says so; the word stays that of the person.
    """
    why = f"it asks in other words what {decision.who} settled as {asked_as}"
    events.record(tx, _FOLLOWED, prompt, who, why, group=decision.group, said_by=decision.who, asked_as=asked_as)


def asked_as(tx: Session, prompt: str) -> str:
    """The prompt on which somebody's word stands for this one; itself where none does."""
    row = _newest(tx, [prompt]).get(prompt)
    return row.detail.get("asked_as", prompt) if row is not None else prompt


def decisions(tx: Session, prompts: Iterable[str]) -> dict[str, Decision]:
    """The newest word on each prompt, or on the one whose word it follows, by id; without those nobody decided on."""
    own = _newest(tx, prompts)
    followed = _newest(tx, {row.detail["asked_as"] for row in own.values() if "asked_as" in row.detail})
    pairs = {name: (row, followed.get(row.detail.get("asked_as", ""), row)) for name, row in own.items()}
    return {name: _decision(max(pair, key=lambda row: row.seq)) for name, pair in pairs.items()}


def _newest(tx: Session, prompts: Iterable[str]) -> dict[str, Event]:
    found: dict[str, Event] = {}
    said = Event.action.in_((_DECIDED, _FOLLOWED))
    for chunk in chunks(prompts):
        for row in tx.scalars(select(Event).where(Event.subject.in_(chunk), said).order_by(Event.seq)):
            found[row.subject] = row
    return found


def _decision(row: Event) -> Decision:
    return Decision(row.detail.get("group"), row.detail.get("said_by", row.who), row.why, row.at)
