"""measuring -> judging: candidate, parent and anchor under the same suites and engine settings.

The first look measures every suite, a further one more items of the suites that were unclear (`agent.steps.looks`).
"""

from __future__ import annotations

from pathlib import Path

from agent import measured
from agent.context import DAEMON, Context
from agent.steps import looks
from agent.steps.diagnosing import read_measurements
from agent.steps.judging import policy_of, verdict_of
from agent.store import cycles, measurements
from agent.store.cycles import Cycle
from agent.work.jobs import JobFailed
from monitors.gate.looks import asked
from monitors.job import EngineSettings, MeasureResult, MeasureSpec
from monitors.probes.judges import agreements, sentence
from monitors.probes.suites import load_suite

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Measure what is not stored yet of each compared version; store each item's score for ever.

    A first look that cannot be had fails the cycle. A further one that cannot leaves it to the gate, which holds a
    suite that was asked and not measured: what was measured before is kept, and a person decides.
    """
    number = looks.newest(context, cycle)
    job_id = looks.job_id(cycle, number)

    def build(folder: Path) -> MeasureSpec:
        return _order(context, cycle, number, folder)

    try:
        answer = context.jobs.ensure(job_id, "monitors", "measure", build, cycle=cycle.id, step=looks.STEP)
    except JobFailed as failure:
        if number == 1:
            raise
        _move_on(context, cycle, f"more items could not be measured: {failure}")
        return True
    if answer is None:
        return False
    result = MeasureResult.model_validate(answer)
    rows = read_measurements(context.layout.job(job_id) / "output" / "measurements.jsonl")
    why = f"{result.measured} measurement(s) in {result.seconds:.0f} s"
    with context.store.write() as tx:
        measurements.add_many(tx, rows, job_id)
        cycles.transition(tx, cycle.id, "measuring", "judging", DAEMON, why)
    context.log.info(f"cycle {cycle.id}: {why}", action="cycle.measured", cycle=cycle.id)
    for found in agreements(rows):
        context.log.info(f"cycle {cycle.id}: {sentence(found)}", action="judges.agreement", cycle=cycle.id)
    return True


def _order(context: Context, cycle: Cycle, number: int, folder: Path) -> MeasureSpec:
    """What a look's job is asked; written down beside it for the judge."""
    files = _files(context, cycle, number, folder)
    suites = [load_suite(path) for path in files]
    look = looks.Look(
        engine=_engine(context, cycle, number),
        suites=tuple(asked(suite, policy_of(context, cycle), number) for suite in suites),
    )
    looks.write(folder, look)
    compared = measured.compared_versions(cycle)
    wanted = [(one.suite, probe) for one in look.suites for probe in one.probes]
    stored = measured.measured_keys(context, compared, suites, look.engine.digest())
    return MeasureSpec(
        versions=tuple(measured.reference(context.layout, version) for version in compared),
        suites=tuple(files),
        engine=look.engine,
        skip=stored | looks.beyond(compared, suites, wanted),
    )


def _files(context: Context, cycle: Cycle, number: int, folder: Path) -> list[Path]:
    if number == 1:
        return measured.snapshot(context, cycle, folder)
    wanted = verdict_of(context, cycle, number - 1).more
    return measured.copied(
        [path for path in looks.suite_files(context, cycle) if load_suite(path).suite in wanted], folder
    )


def _engine(context: Context, cycle: Cycle, number: int) -> EngineSettings:
    """All looks of a cycle are taken under the settings of the first, or they would not compare."""
    return measured.engine_settings(context.config) if number == 1 else looks.first(context, cycle).engine


def _move_on(context: Context, cycle: Cycle, why: str) -> None:
    with context.store.write() as tx:
        cycles.transition(tx, cycle.id, "measuring", "judging", DAEMON, why)
    context.log.warning(f"cycle {cycle.id}: {why}", action="cycle.measured", cycle=cycle.id)
