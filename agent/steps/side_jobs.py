"""A worker's answer about a candidate that measuring goes on without: had, or given up with its reason.

Owns what the audit and the proof share. Decides nothing: what a missing answer means is for judging to say.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from agent.context import DAEMON, Context
from agent.store import events
from agent.store.cycles import Cycle
from agent.work.jobs import JobFailed

__all__ = ["ended", "given_up"]


def given_up(context: Context, cycle: Cycle, action: str) -> bool:
    """Whether the event `action` says of the cycle's candidate that its answer could not be had."""
    with context.store.read() as tx:
        return any(event.action == action for event in events.listing(tx, subject=cycle.candidate))


def ended(
    context: Context, cycle: Cycle, step: str, kind: str, build: Callable[[Path], BaseModel], *, action: str, deed: str
) -> bool:
    """Whether the job of `monitors` is done, or has failed for good, which is recorded.

    Args:
        step: names the job beside its cycle.
        kind: of the job.
        build: its order, written into a folder.
        action: of the event that says it failed.
        deed: what could not be done with the candidate, e.g. `audited`.
    """
    try:
        answer = context.jobs.ensure(f"{cycle.id}-{step}", "monitors", kind, build, cycle=cycle.id, step=step)
    except JobFailed as failure:
        with context.store.write() as tx:
            events.record(tx, action, str(cycle.candidate), DAEMON, str(failure), cycle=cycle.id)
        context.log.warning(f"{cycle.candidate} could not be {deed}: {failure}", action=action, cycle=cycle.id)
        return True
    return answer is not None
