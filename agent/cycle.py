"""One turn of the loop: look at the persisted state, do the next thing, return.

Owns the order of things: which step function belongs to which state. It keeps nothing in memory: a daemon killed
anywhere starts here again. `agent.daemon.loop` calls `advance` once per tick.

    observing -> diagnosing -> planning -> [awaiting_approval] -> curating -> training -> measuring -> judging
       judging: unclear -> measuring (more items of the suites in question, a fixed number of times)
                promote -> promoting -> watching -> done | rolled_back
                hold    -> awaiting_approval -> promoting | rejected
                reject  -> rejected
    any step -> failed(reason)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.context import DAEMON, Context
from agent.steps import curating, diagnosing, judging, planning, promoting, proving, replaying, watching
from agent.steps.ending import end
from agent.store import cycles
from agent.store.cycles import Cycle
from agent.work.jobs import JobFailed
from learners.durable import DamagedFolder, IncompleteFolder

__all__ = ["STEPS", "advance"]

Step = Callable[[Context, Cycle], bool]
"""Does what it can for a cycle in its state; True if the cycle moved on, False if it waits for a worker."""

STEPS: Final[dict[str, Step]] = {
    "diagnosing": diagnosing.advance,
    "planning": planning.advance,
    "curating": curating.advance,
    "training": replaying.advance,
    "measuring": proving.advance,
    "judging": judging.advance,
    "promoting": promoting.advance,
    "watching": watching.advance,
}


def advance(context: Context) -> bool:
    """Advance the active cycle by at most one transition; True if it moved.

    A job that is given up, and files that are found damaged, end the cycle: asked again, they would be no better.
    """
    with context.store.read() as tx:
        cycle = cycles.active(tx)
    if cycle is None or cycle.state not in STEPS:
        return False
    try:
        return STEPS[cycle.state](context, cycle)
    except (JobFailed, DamagedFolder, IncompleteFolder) as failure:
        _fail(context, cycle, str(failure))
        return True


def _fail(context: Context, cycle: Cycle, why: str) -> None:
    with context.store.write() as tx:
        end(tx, context.config, cycle, "failed", DAEMON, why)
    context.log.error(f"cycle {cycle.id} failed while {cycle.state}: {why}", action="cycle.failed", cycle=cycle.id)
