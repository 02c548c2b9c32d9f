"""diagnosing -> planning: what does the serving version not know of what the cycle brought?"""

from __future__ import annotations

from pathlib import Path

from agent import disagreement, measured, set_aside
from agent.context import DAEMON, Context
from agent.steps import letting_go, norms
from agent.store import cycles, gaps, jobs, measurements, pool
from agent.store.cycles import Cycle
from learners.records import write_records
from monitors.job import DiagnoseResult, DiagnoseSpec, Measurement

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Ask a worker for the gaps; store them with the scores of the probes that show them."""
    with context.store.read() as tx:
        begun = bool(jobs.of_cycle(tx, cycle.id))
    if not begun and norms.set_aside(context, cycle):
        return True
    job_id = f"{cycle.id}-diagnosing"
    parent, anchor = measured.serving(context)

    def build(folder: Path) -> DiagnoseSpec:
        return _order(context, cycle, parent, folder)

    answer = context.jobs.ensure(job_id, "monitors", "diagnose", build, cycle=cycle.id, step="diagnosing")
    if answer is None:
        return False
    result = DiagnoseResult.model_validate(answer)
    rows = read_measurements(context.layout.job(job_id) / "output" / "measurements.jsonl")
    why = f"{len(result.gaps)} gap(s); {parent} fails {result.failed} of {result.probes} probes"
    why = "; ".join(part for part in (why, letting_go.told(result.followed)) if part)
    with context.store.write() as tx:
        gaps.save(tx, cycle.id, result.gaps, who=DAEMON, why=why)
        measurements.add_many(tx, rows, job_id)
        cycles.transition(tx, cycle.id, "diagnosing", "planning", DAEMON, why, parent=parent, anchor=anchor)
    context.log.info(f"cycle {cycle.id}: {why}", action="cycle.diagnosed", cycle=cycle.id)
    return True


def _order(context: Context, cycle: Cycle, parent: str, folder: Path) -> DiagnoseSpec:
    """What the worker is asked: the records that the cycle claimed, the serving version and the suites beside them."""
    with context.store.read() as tx:
        claimed = [row for row in pool.records_of(tx, cycle.id) if row.state == "claimed"]
        records = disagreement.stated(tx, claimed)
    write_records(folder / "records.jsonl", records)
    return DiagnoseSpec(
        suite=f"{cycle.id}-target",
        version=measured.reference(context.layout, parent),
        records=folder / "records.jsonl",
        suites=tuple(measured.copied(measured.target_suites(context), folder)),
        engine=measured.engine_settings(context.config),
        standing=tuple(measured.copied(measured.standing_suites(context), folder)),
        first_items=context.config.gate.first_items,
        contamination=set_aside.policy(context.config),
        retired=letting_go.asked(context, records, parent, folder),
        retirement=letting_go.policy(context.config),
        seed=context.config.training.seed,
    )


def read_measurements(path: Path) -> list[Measurement]:
    """The rows that a measuring worker left."""
    with path.open(encoding="utf-8") as lines:
        return [Measurement.model_validate_json(line) for line in lines]
