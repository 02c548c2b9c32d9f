"""What the registry of values holds, as plain JSON values: the reads behind `cld values list` and `show`.

Owns the choice of what a reader is shown of a norm, and how people write a day. Changes nothing; what models make of
the norms is `agent.history.norms`'s.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agent.errors import InvalidValue
from agent.store import Session, cycles, norms, plans
from agent.store.columns import now, row_facts

__all__ = ["listing", "moment_of", "norm", "register"]

_MOST_PLANS = 10_000


def moment_of(text: str) -> datetime:
    """A day or a moment as people write it: `2026-03-01` (its first moment) or `2026-03-01T12:00`, local time.

    Raises:
        InvalidValue: it is neither, or so far from now that another time zone has no date for it.
    """
    try:
        found = datetime.fromisoformat(text).astimezone()
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue(f"{text!r} is no day: write it as 2026-03-01, or as 2026-03-01T12:00") from None
    return found


def listing(tx: Session, at: datetime | None = None) -> list[dict[str, Any]]:
    """Norms with their state: all of them as of now, or those that hold at a moment."""
    heirs = norms.heirs(tx)
    return [_facts(row, heirs, at or now()) for row in norms.listing(tx, at)]


def register(tx: Session, at: datetime | None = None) -> dict[str, Any]:
    """The registry: its norms, and what was set aside because it names a norm that is not registered."""
    return {"norms": listing(tx, at), "awaited": norms.awaited(tx)}


def norm(tx: Session, name: str) -> dict[str, Any]:
    """Everything about a norm: its row, its changes, the cycles that set out to learn one.

    Raises:
        NotFound: there is none of that name.
    """
    row = norms.get(tx, name)
    return {
        **_facts(row, norms.heirs(tx), now()),
        "changes": [row_facts(change) for change in norms.history(tx, name)],
        "cycles": _cycles(tx, name),
    }


def _facts(row: norms.Norm, heirs: dict[str, norms.Norm], at: datetime) -> dict[str, Any]:
    heir = heirs.get(row.id)
    return {**row_facts(row), "state": _state(row, heir, at), "superseded_by": heir.id if heir else None}


def _state(row: norms.Norm, heir: norms.Norm | None, at: datetime) -> str:
    if at < row.valid_from:
        return "not yet in force"
    if row.holds(at):
        return "in force"
    return "superseded" if heir else "retired"


def _cycles(tx: Session, name: str) -> list[dict[str, Any]]:
    """The cycles whose plans name a norm, newest first, with what they did to it."""
    found = [(plan.cycle, one) for plan in plans.listing(tx, _MOST_PLANS) for one in plan.plan.get("norms", ())]
    return [
        {"cycle": cycle, "change": one["change"], "state": cycles.get(tx, cycle).state}
        for cycle, one in found
        if one["norm"] == name
    ]
