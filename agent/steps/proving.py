"""Part of measuring, of cycles that forget: the proof that the candidate has forgotten, and only that.

A worker asks the candidate, its parent and a version that never learned the records (`monitors.forgetting`); judging
holds what does not pass (`monitors.gate.forgotten`). A proof that cannot be had is recorded with its reason, and then
the missing proof holds: the suites are still measured, and a person decides.
"""

from __future__ import annotations

from pathlib import Path

from agent import measured
from agent.context import Context
from agent.forgetting.closing import PROVING
from agent.forgetting.kept import kept
from agent.forgetting.lineage import trace
from agent.planner.plan import Plan
from agent.steps import auditing, side_jobs
from agent.store import plans, pool
from agent.store.cycles import Cycle
from learners.records import evenly, write_records
from monitors.forgetting_job import ProveSpec

__all__ = ["FAILED", "advance"]

FAILED = "version.proof_failed"


def advance(context: Context, cycle: Cycle) -> bool:
    """Prove first, then audit and measure; see `agent.steps.auditing`."""
    return proven(context, cycle) and auditing.advance(context, cycle)


def proven(context: Context, cycle: Cycle) -> bool:
    """Whether nothing of the proof is left to do: nothing was to be forgotten, or it is done or given up."""
    if cycle.stage != "forget" or cycle.candidate is None or cycle.parent is None:
        return True
    if side_jobs.given_up(context, cycle, FAILED):
        return True

    def build(folder: Path) -> ProveSpec:
        return _order(context, cycle, folder)

    return side_jobs.ended(context, cycle, PROVING, "prove", build, action=FAILED, deed="proven")


def _order(context: Context, cycle: Cycle, folder: Path) -> ProveSpec:
    rules = context.config.forget
    with context.store.read() as tx:
        plan = Plan.model_validate(plans.get(tx, cycle.id).plan)
        records = [row.record for row in pool.get(tx, plan.records)]
        clean = trace(tx, plan.records).clean
        count = min(rules.most_records, max(rules.neighbours, len(records)))
        neighbours = kept(tx, records, count).records
    write_records(folder / "forgotten.jsonl", evenly(records, rules.most_records))
    write_records(folder / "neighbours.jsonl", neighbours)
    return ProveSpec(
        version=measured.reference(context.layout, cycle.candidate or ""),
        parent=measured.reference(context.layout, cycle.parent or ""),
        clean=measured.reference(context.layout, clean) if clean else None,
        forgotten=folder / "forgotten.jsonl",
        neighbours=folder / "neighbours.jsonl",
        engine=measured.engine_settings(context.config),
        fills=rules.fills,
        seed=context.config.training.seed,
    )
