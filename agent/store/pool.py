"""The pool: records waiting, claimed and consumed (promise P9); `agent.store.intakes` brings them.

record:  waiting -> claimed by a cycle -> learned | refused | set_aside     consumed once, for good
            ^---------- released, or its cycle failed for the first time
            ^---------- set aside for want of a norm, which was registered (`norms.put_back`)
            ^---------- contested: groups disagree, until somebody decides (`contested`); or refused then
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, Update, func, select, update
from sqlalchemy.orm import Session

from agent.store import events
from agent.store.errors import StaleState
from agent.store.once import chunks
from agent.store.tables import PooledRecord

__all__ = [
    "PooledRecord",
    "claim",
    "counts",
    "get",
    "newest_received_at",
    "records_of",
    "release",
    "set_aside",
    "settle",
    "sources_of_cycles",
    "waiting",
]


def waiting(tx: Session, limit: int) -> list[PooledRecord]:
    """Records in the pool, oldest first, at most `limit`."""
    query = select(PooledRecord).where(PooledRecord.state == "waiting").order_by(PooledRecord.seq).limit(limit)
    return list(tx.scalars(query))


def counts(tx: Session) -> dict[str, int]:
    """Records waiting in the pool, by kind."""
    query = select(PooledRecord.kind, func.count()).where(PooledRecord.state == "waiting").group_by(PooledRecord.kind)
    return {row[0]: row[1] for row in tx.execute(query)}


def newest_received_at(tx: Session) -> datetime | None:
    """When the newest record arrived, None in an empty store."""
    return tx.scalar(select(PooledRecord.received_at).order_by(PooledRecord.seq.desc()).limit(1))


def claim(tx: Session, cycle: str, ids: Iterable[str], who: str = "daemon", why: str = "selected for the cycle") -> int:
    """Hand waiting records to a cycle; return how many.

    Raises:
        StaleState: one of them is not waiting any more; nothing is claimed.
    """
    wanted, claimed = sorted(set(ids)), 0
    for chunk in chunks(wanted):
        where = PooledRecord.id.in_(chunk) & (PooledRecord.state == "waiting")
        claimed += _count(tx, where)
        tx.execute(_records(where).values(state="claimed", cycle=cycle))
    if claimed != len(wanted):
        raise StaleState(
            f"cycle {cycle!r} wants {len(wanted)} records and only {claimed} of them wait in the pool: a record is "
            "consumed once; look at the pool again"
        )
    if claimed:
        events.record(tx, "pool.claimed", cycle, who, why, records=claimed)
    return claimed


def release(tx: Session, cycle: str, why: str, who: str = "daemon") -> int:
    """Give the records that `cycle` claimed back to the pool; return how many."""
    mine = (PooledRecord.cycle == cycle) & (PooledRecord.state == "claimed")
    count = _count(tx, mine)
    if count:
        tx.execute(_records(mine).values(state="waiting", cycle=None, returns=PooledRecord.returns + 1))
        events.record(tx, "pool.released", cycle, who, why, records=count)
    return count


def settle(
    tx: Session,
    cycle: str,
    outcome: Literal["learned", "refused", "set_aside", "failed"],
    who: str = "daemon",
    why: str = "the cycle ended",
) -> int:
    """Consume the records that `cycle` claimed; return how many. A second call finds none.

    Args:
        outcome: `learned`, `refused` and `set_aside` (nothing to learn from it) are final; `failed` gives each record
            back to the pool the first time and refuses it the second, so that a record that breaks training cannot do
            so for ever.
    """
    mine = (PooledRecord.cycle == cycle) & (PooledRecord.state == "claimed")
    if outcome == "failed":
        returned = PooledRecord.returns > 0
        refused = _settle(tx, mine & returned, "refused", cycle, who, why)
        return refused + release(tx, cycle, why, who)
    return _settle(tx, mine, outcome, cycle, who, why)


def set_aside(tx: Session, cycle: str, ids: Iterable[str], why: str, who: str = "daemon") -> int:
    """Set some of the records that `cycle` claimed aside, while it goes on with the others; return how many."""
    mine = (PooledRecord.cycle == cycle) & (PooledRecord.state == "claimed")
    return sum(_settle(tx, mine & PooledRecord.id.in_(chunk), "set_aside", cycle, who, why) for chunk in chunks(ids))


def records_of(tx: Session, cycle: str) -> list[PooledRecord]:
    """Records that `cycle` claimed or consumed, in order of arrival."""
    return list(tx.scalars(select(PooledRecord).where(PooledRecord.cycle == cycle).order_by(PooledRecord.seq)))


def sources_of_cycles(tx: Session) -> dict[str, set[str]]:
    """Names of the sources whose records each cycle claimed or consumed."""
    found: dict[str, set[str]] = {}
    query = select(PooledRecord.cycle, PooledRecord.source).where(PooledRecord.cycle.is_not(None)).distinct()
    for cycle, source in tx.execute(query):
        found.setdefault(str(cycle), set()).add(source)
    return found


def get(tx: Session, ids: Iterable[str]) -> list[PooledRecord]:
    """Records by id, in order of arrival; unknown ids are left out."""
    found: list[PooledRecord] = []
    for chunk in chunks(ids):
        found += tx.scalars(select(PooledRecord).where(PooledRecord.id.in_(chunk)))
    return sorted(found, key=lambda row: row.seq)


def _settle(tx: Session, which: ColumnElement[bool], state: str, cycle: str, who: str, why: str) -> int:
    count = _count(tx, which)
    if count:
        tx.execute(_records(which).values(state=state))
        events.record(tx, f"pool.{state}", cycle, who, why, records=count)
    return count


def _count(tx: Session, which: ColumnElement[bool]) -> int:
    return tx.scalar(select(func.count()).select_from(PooledRecord).where(which)) or 0


def _records(which: ColumnElement[bool]) -> Update:
    return update(PooledRecord).where(which).execution_options(synchronize_session="fetch")
