"""What was learned of a norm that ended with nothing in its place: it comes back once, to be taken out of the weights.

Owns the copies of learned preferences with change = "retire": they enter the pool beside what taught the norm, from the
same source and file, and are consumed like everything else. A norm comes back once, with an event that says so; what
follows from it is a cycle's. Called by `agent.trigger`.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.store import events, norms, plans, pool
from agent.store.once import insert_once
from agent.store.tables import Event, Norm, PooledRecord
from learners.parts.norms import retires
from learners.records import record_id

__all__ = ["due", "recall"]

_RECALLED = "norm.recalled"


def due(tx: Session, at: datetime) -> Norm | None:
    """The norm that ended first, with a suite and no heir, of which nothing came back yet; None where there is none.

    Without a suite nobody could tell whether it is followed still.
    """
    known = norms.listing(tx)
    replaced = {row.supersedes for row in known}
    ended = [row for row in known if row.valid_to is not None and row.valid_to <= at and row.id not in replaced]
    ended = [row for row in ended if row.suite is not None]
    if not ended:
        return None
    ids = [row.id for row in ended]
    done = set(tx.scalars(select(Event.subject).where(Event.subject.in_(ids), Event.action == _RECALLED)))
    return next((row for row in ended if row.id not in done), None)


def recall(tx: Session, norm: str, most: int, who: str, why: str) -> list[str]:
    """Put the newest `most` preferences that taught a norm into the pool again, to be retired.

    Those that were held out as probes were never trained on, and are left where they are.

    Returns:
        Ids of those that wait now.
    """
    named = PooledRecord.content["norm"].as_string() == norm
    mine = (PooledRecord.state == "learned") & (PooledRecord.kind == "preference") & named
    taught = tx.scalars(select(PooledRecord).where(mine).order_by(PooledRecord.seq.desc()))
    rows = dict(_retiring(row) for row in islice((row for row in taught if _trained(tx, row)), most))
    insert_once(tx, PooledRecord, list(rows.values())[::-1])
    events.record(tx, _RECALLED, norm, who, why, records=len(rows))
    return [row.id for row in pool.get(tx, rows) if row.state == "waiting"]


def _trained(tx: Session, row: PooledRecord) -> bool:
    plan = plans.find(tx, row.cycle) if row.cycle else None
    held = plan.plan.get("held_out_records", ()) if plan else ()
    return not retires(row.record) and row.id not in held


def _retiring(row: PooledRecord) -> tuple[str, dict[str, object]]:
    """Id and columns of the record that retires what another one taught."""
    content = {**row.content, "change": "retire"}
    name = record_id(row.kind, content)
    kept = {column: getattr(row, column) for column in ("source", "kind", "origin", "intake")}
    return name, {"id": name, "content": content, **kept}
