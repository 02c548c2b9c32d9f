"""promoting -> watching: the pointer moves to the candidate, in the same transaction as everything that follows."""

from __future__ import annotations

from agent.context import DAEMON, Context
from agent.history.cards import write_card
from agent.serving_files import parts_of
from agent.steps.ending import end
from agent.store import cycles, decisions, deployment, versions
from agent.store.cycles import Cycle

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Verify the files of candidate and base against the registered digests, then make it the serving version."""
    candidate = cycle.candidate or ""
    with context.store.read() as tx:
        parts, now = parts_of(tx, candidate), deployment.current(tx)
    found = context.reader.ask(cycle.id, context.layout, parts)
    if found is None:
        return False
    if found.damaged is not None:
        _refuse_damaged(context, cycle, found.damaged, found.damage)
        return True
    who, why = _authority(context, cycle)
    if now.version != cycle.parent:
        _overtaken(context, cycle, now.version)
        return True
    with context.store.write() as tx:
        deployment.move(tx, candidate, now.generation, who, why, cause="promote")
        versions.mark(tx, candidate, "kept", who, why)
        write_card(tx, candidate)
        cycles.transition(tx, cycle.id, "promoting", "watching", who, why)
    context.log.info(f"{candidate} serves now: {why}", action="version.promoted", version=candidate, who=who)
    return True


def _authority(context: Context, cycle: Cycle) -> tuple[str, str]:
    """Who let the candidate through: the person whose approval is recorded, else the gate."""
    with context.store.read() as tx:
        approvals = [d for d in decisions.of_cycle(tx, cycle.id) if d.decision == "approve" and d.version]
    if approvals:
        return approvals[-1].who, approvals[-1].why
    return DAEMON, f"the gate's verdict on cycle {cycle.id} is promote"


def _refuse_damaged(context: Context, cycle: Cycle, version: str, damage: str) -> None:
    """Mark what is damaged, the candidate or its base; a version that serves keeps its state (the store's rule)."""
    with context.store.write() as tx:
        if deployment.current(tx).version != version:
            versions.mark(tx, version, "damaged", DAEMON, damage)
        end(tx, context.config, cycle, "failed", DAEMON, damage)
    context.log.error(damage, action="version.damaged", version=version)


def _overtaken(context: Context, cycle: Cycle, serving: str) -> None:
    """The verdict compared with a parent that no longer serves, so it says nothing about replacing what does."""
    why = f"{cycle.candidate} was judged against {cycle.parent}, but {serving} serves now"
    with context.store.write() as tx:
        end(tx, context.config, cycle, "rejected", DAEMON, why)
    context.log.warning(why, action="cycle.overtaken", cycle=cycle.id)
