"""Part of measuring: the audit of the candidate, where [probes] audit asks for one. It reports and decides nothing.

The audit looks for what training left behind (canaries, rare strings, membership) and asks the suites that only
report. Its answer stays in its job's row, from where `agent.history.cards` makes it part of the version's card. An
audit that cannot be had is recorded with its reason and keeps no cycle waiting: what decides nothing stops nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent.context import DAEMON, Context
from agent.jobs import JobFailed
from agent.planner.plan import Plan
from agent.steps import measured, measuring
from agent.store import Session, events, plans, pool
from agent.store.cycles import Cycle
from learners.records import Record, write_records
from monitors.audit_job import AuditSpec
from monitors.probes.suites import shipped_suites

__all__ = ["REPORTING", "advance"]

REPORTING: Final = ("identity", "sycophancy", "toxicity")
"""Shipped suites that report and do not decide."""

STEP = "auditing"
FAILED = "version.audit_failed"

_FRESH_RECORDS = 200


def advance(context: Context, cycle: Cycle) -> bool:
    """Audit the candidate first, then measure it; see `agent.steps.measuring`."""
    return audited(context, cycle) and measuring.advance(context, cycle)


def audited(context: Context, cycle: Cycle) -> bool:
    """Whether nothing of the audit is left to do: it is off, done or given up."""
    if not context.config.probes.audit or cycle.candidate is None or cycle.parent is None:
        return True
    with context.store.read() as tx:
        if any(event.action == FAILED for event in events.listing(tx, subject=cycle.candidate)):
            return True

    def build(folder: Path) -> AuditSpec:
        return _order(context, cycle, folder)

    try:
        answer = context.jobs.ensure(f"{cycle.id}-{STEP}", "monitors", "audit", build, cycle=cycle.id, step=STEP)
    except JobFailed as failure:
        with context.store.write() as tx:
            events.record(tx, FAILED, cycle.candidate, DAEMON, str(failure), cycle=cycle.id)
        context.log.warning(f"{cycle.candidate} could not be audited: {failure}", action=FAILED, cycle=cycle.id)
        return True
    return answer is not None


def _order(context: Context, cycle: Cycle, folder: Path) -> AuditSpec:
    """The audit against the parent, with what the candidate has learned and what nobody has."""
    with context.store.read() as tx:
        plan = Plan.model_validate(plans.get(tx, cycle.id).plan)
        write_records(folder / "members.jsonl", (row.record for row in pool.get(tx, plan.records)))
        write_records(folder / "fresh.jsonl", _fresh(tx, plan))
    versions = [measured.reference(context.layout, str(version)) for version in (cycle.candidate, cycle.parent)]
    return AuditSpec(
        version=versions[0],
        reference=versions[1],
        members=folder / "members.jsonl",
        fresh=folder / "fresh.jsonl",
        suites=tuple(measured.copied([shipped_suites()[name] for name in REPORTING], folder)),
        engine=measured.engine_settings(context.config),
        seed=context.config.training.seed,
    )


def _fresh(tx: Session, plan: Plan) -> list[Record]:
    """Records of the kinds that were learned, which no version has learned: held out as probes, or still waiting."""
    kinds = {row.kind for row in pool.get(tx, plan.records)}
    rows = [*pool.get(tx, plan.held_out_records), *pool.waiting(tx, limit=_FRESH_RECORDS)]
    return [row.record for row in rows if row.kind in kinds]
