"""Pauses and the breaker: when no new step starts, why, and what ends it (promise P8).

Several reasons may hold at once, one per code: a full disk does not go away because the operator's pause was lifted.
"""

from __future__ import annotations

import re

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from agent.store import events
from agent.store.tables import Cycle, Pause, now

__all__ = ["Pause", "breaker", "pause", "paused", "pauses", "resume"]

_BAD_ENDINGS = ("failed", "rejected", "rolled_back")
_CODE = re.compile(r"([a-z_]{1,32}):")


def pause(tx: Session, reason: str, who: str, fix: str, code: str | None = None) -> Pause:
    """Let no new step start. Pausing again for the same code changes nothing.

    Args:
        reason: one sentence for people; a leading word and colon is its code (`disk: 40 MB left`).
        fix: the command or action that ends it.
        code: the condition, `operator` where neither this nor `reason` names one.
    """
    named = _CODE.match(reason)
    condition: str = code or (str(named[1]) if named else "operator")
    for open_pause in pauses(tx):
        if open_pause.code == condition:
            return open_pause
    row = Pause(code=condition, reason=reason, who=who, fix=fix)
    tx.add(row)
    tx.flush()
    events.record(tx, "paused", condition, who, reason, fix=fix)
    return row


def resume(tx: Session, who: str, why: str, code: str | None = None) -> list[Pause]:
    """Lift the pause of one code, or every pause; return what was lifted. Lifting the breaker resets its count."""
    lifted = [row for row in pauses(tx) if code in (None, row.code)]
    newest = tx.scalar(select(func.max(Cycle.number))) or 0
    values = {"holds": None, "lifted_at": now(), "lifted_by": who, "lifted_after_cycle": newest}
    for row in lifted:
        tx.execute(update(Pause).where(Pause.seq == row.seq).values(**values))
        events.record(tx, "resumed", row.code, who, why)
    return lifted


def pauses(tx: Session) -> list[Pause]:
    """Every reason that holds now, oldest first."""
    query = select(Pause).where(Pause.holds.is_(True)).order_by(Pause.seq)
    return list(tx.scalars(query.execution_options(populate_existing=True)))


def paused(tx: Session) -> Pause | None:
    """The oldest reason that holds now, None when work may go on."""
    return next(iter(pauses(tx)), None)


def breaker(tx: Session) -> int:
    """How many cycles in a row ended badly (failed, rejected, rolled back).

    Counts back from the newest ended cycle to the last `done` one or the last lifting of the breaker; cycles that
    were aborted or had nothing to do count neither way.
    """
    lifted = tx.scalar(select(func.max(Pause.lifted_after_cycle)).where(Pause.code == "breaker")) or 0
    good = tx.scalar(select(func.max(Cycle.number)).where(Cycle.state == "done")) or 0
    bad = select(func.count()).where(Cycle.state.in_(_BAD_ENDINGS), Cycle.number > max(lifted, good))
    return tx.scalar(bad.select_from(Cycle)) or 0
