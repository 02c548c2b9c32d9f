"""How cycles end: the one place where records are settled, requests to forget are closed, the breaker looks and a
lesson is written.

Called by the steps and by operators' commands inside their own transaction, so that an ending is whole or absent.
"""

from __future__ import annotations

from typing import Final, Literal

from agent.config import Config
from agent.forgetting import closing
from agent.history.cards import write_card
from agent.store import Session, control, cycles, lessons, pool
from agent.store.cycles import Cycle

__all__ = ["end"]

Ending = Literal["done", "rejected", "rolled_back", "failed", "aborted", "no_action"]

Settled = Literal["learned", "refused", "set_aside", "failed"]

_SETTLED: Final[dict[Ending, Settled]] = {
    "done": "learned",
    "rejected": "refused",
    "rolled_back": "refused",
    "failed": "failed",
    "aborted": "failed",
    "no_action": "set_aside",
}
"""What becomes of the cycle's records, unless its candidate serves already."""

_BAD: Final = frozenset({"rejected", "rolled_back", "failed"})


def end(tx: Session, config: Config, cycle: Cycle, ending: Ending, who: str, why: str) -> None:
    """End `cycle`: settle its records, write its lesson, pause everything after too many bad endings in a row.

    Args:
        cycle: as it is now; its state is what the transition starts from.
    """
    settled = _settled(cycle, ending)
    cycles.transition(tx, cycle.id, cycle.state, ending, who, why, reason=why)
    pool.settle(tx, cycle.id, settled, who, why)
    if cycle.candidate is not None:
        write_card(tx, cycle.candidate)
    closing.close(tx, cycle, serves=settled == "learned", who=who, why=why)
    if cycle.stage is not None:
        lessons.add(tx, cycle.id, f"{cycle.stage} with {cycle.method} ended {ending}: {why}", who=who, why=why)
    limit = config.cycle.breaker_after
    if ending in _BAD and control.breaker(tx) >= limit:
        reason = f"{limit} cycles in a row ended badly, the last one {cycle.id}: {why}"
        control.pause(tx, f"breaker: {reason}", who=who, fix="cld resume")


def _settled(cycle: Cycle, ending: Ending) -> Settled:
    """A candidate that was promoted has learned its records, unless it is rolled back."""
    return "learned" if cycle.state == "watching" and ending != "rolled_back" else _SETTLED[ending]
