"""Part of measuring: the audit of the candidate, where [probes] audit or a canary planted once asks for one.

The audit looks for what training left behind (canaries, rare strings, membership) and asks the suites that only
report. Its answer stays in its job's row, from where `agent.history.cards` makes it part of the version's card, and
judging reads the exposure of canaries. It decides nothing by itself: an audit that cannot be had is recorded with its
reason and keeps no cycle waiting.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent import disagreement, measured
from agent.context import Context
from agent.planner.plan import Plan
from agent.steps import canaries, looks, measuring, side_jobs
from agent.store import Session, jobs, plans, pool
from agent.store.cycles import Cycle
from learners.records import Record, write_records
from monitors.audit_job import AuditSpec
from monitors.probes.suites import shipped_suites

__all__ = ["REPORTING", "advance"]

REPORTING: Final = ("identity", "sycophancy", "toxicity")
"""Shipped suites that report and do not decide."""

FAILED = "version.audit_failed"

_FRESH_RECORDS = 200


def advance(context: Context, cycle: Cycle) -> bool:
    """Audit the candidate first, then measure it; see `agent.steps.measuring`."""
    return audited(context, cycle) and measuring.advance(context, cycle)


def audited(context: Context, cycle: Cycle) -> bool:
    """Whether nothing of the audit is left to do: nobody asks for one, or it is done or given up."""
    if cycle.candidate is None or cycle.parent is None or _settled(context, cycle):
        return True
    if not context.config.probes.audit and not canaries.guarded(context, cycle):
        return True

    def build(folder: Path) -> AuditSpec:
        return _order(context, cycle, folder)

    return side_jobs.ended(context, cycle, canaries.AUDIT, "audit", build, action=FAILED, deed="audited")


def _settled(context: Context, cycle: Cycle) -> bool:
    """Whether measuring has begun, which the audit comes before, or the audit was given up."""
    with context.store.read() as tx:
        begun = any(job.id == looks.job_id(cycle, 1) for job in jobs.of_cycle(tx, cycle.id))
    return begun or side_jobs.given_up(context, cycle, FAILED)


def _order(context: Context, cycle: Cycle, folder: Path) -> AuditSpec:
    """The audit against the parent, with what the candidate has learned and what nobody has."""
    with context.store.read() as tx:
        plan = Plan.model_validate(plans.get(tx, cycle.id).plan)
        write_records(folder / "members.jsonl", disagreement.stated(tx, pool.get(tx, plan.records)))
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
