"""measuring -> judging: candidate, parent and anchor under the same suites and engine settings."""

from __future__ import annotations

from pathlib import Path

from agent.context import DAEMON, Context
from agent.steps import measured
from agent.steps.diagnosing import read_measurements
from agent.store import cycles, measurements
from agent.store.cycles import Cycle
from monitors.job import MeasureResult, MeasureSpec
from monitors.probes.suites import load_suite

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Measure what is not stored yet of each compared version; store each item's score for ever."""
    job_id = f"{cycle.id}-measuring"

    def build(folder: Path) -> MeasureSpec:
        suites = measured.snapshot(context, cycle, folder)
        compared = measured.compared_versions(cycle)
        return MeasureSpec(
            versions=tuple(measured.reference(context.layout, version) for version in compared),
            suites=tuple(suites),
            engine=measured.engine_settings(context.config),
            skip=measured.measured_keys(context, compared, [load_suite(path) for path in suites]),
        )

    answer = context.jobs.ensure(job_id, "monitors", "measure", build, cycle=cycle.id, step="measuring")
    if answer is None:
        return False
    result = MeasureResult.model_validate(answer)
    rows = read_measurements(context.layout.job(job_id) / "output" / "measurements.jsonl")
    why = f"{result.measured} measurement(s) in {result.seconds:.0f} s"
    with context.store.write() as tx:
        measurements.add_many(tx, rows, job_id)
        cycles.transition(tx, cycle.id, "measuring", "judging", DAEMON, why)
    context.log.info(f"cycle {cycle.id}: {why}", action="cycle.measured", cycle=cycle.id)
    return True
