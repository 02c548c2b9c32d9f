"""Canaries in a cycle's data: when a candidate is audited for them, and what their exposure says at judging.

Owns the link between [gate] hold_exposed_canaries, the plan's records and the audit's answer; the rule itself is
`monitors.gate.withheld`. A cycle that forgets is not concerned: it brings a proof of its own. Called by the steps
`auditing` and `judging`; reads the store alone.
"""

from __future__ import annotations

from agent.context import Context
from agent.store import Session, jobs, plans, pool
from agent.store.cycles import Cycle
from monitors.audit_job import AuditResult
from monitors.gate.withheld import exposed
from monitors.privacy.canaries import planted

__all__ = ["AUDIT", "against", "guarded"]

AUDIT = "auditing"
"""Step of the job that measures exposure."""


def guarded(context: Context, cycle: Cycle) -> bool:
    """Whether the rule asks for an audit: the candidate learned a canary that was planted once."""
    with context.store.read() as tx:
        return _guarded(context, tx, cycle)


def against(context: Context, cycle: Cycle) -> tuple[str, ...]:
    """What stands against promoting the candidate; nothing where the rule is off or no canary was planted once."""
    with context.store.read() as tx:
        if not _guarded(context, tx, cycle):
            return ()
        answers = [job.result for job in jobs.of_cycle(tx, cycle.id) if job.step == AUDIT and job.result]
    return exposed(AuditResult.model_validate(answers[0]).canaries if answers else None)


def _guarded(context: Context, tx: Session, cycle: Cycle) -> bool:
    learns = cycle.candidate is not None and cycle.parent is not None and cycle.stage != "forget"
    if not learns or not context.config.gate.hold_exposed_canaries:
        return False
    plan = plans.get(tx, cycle.id).plan
    return 1 in planted(row.record for row in pool.get(tx, plan["records"])).values()
