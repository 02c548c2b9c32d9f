"""The `relearn` job: a suite on some versions, and again after a few steps of training on half of it.

Owns the order of work: everything as it is, then each version tuned and asked. What is trained lies in the job's own
folder, beside a link to its base, and is no version of cld: nothing else reads it. Called by `python -m monitors`.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learners import durable
from learners.failures import InvalidInput
from learners.job import Stage, TrainSpec
from learners.records import write_records
from learners.versions import read_version
from monitors.job import MeasureResult, VersionRef
from monitors.measure import key, measure_suites
from monitors.probes.suites import Suite, SuiteError, load_suite
from monitors.relearned import BATCH, ENDING, RelearnSpec, asked_again, lessons

if TYPE_CHECKING:
    from learners.worker import Job

__all__ = ["relearn"]

_STAGES: dict[str, Stage] = {"instruction": "cit", "text": "cpt"}


def relearn(spec: dict[str, Any], job: Job) -> MeasureResult:
    """Measure, train and measure again; the answers lie in `output/measurements.jsonl`, under the versions' own ids.

    Args:
        spec: a `RelearnSpec`.
        job: what was trained and measured is kept in its work folder between attempts.

    Raises:
        InvalidInput: the suite, a version or the engine's settings cannot be used.
        Diverged: a version computes NaN or infinity, or training did.
    """
    started = time.monotonic()
    asked = RelearnSpec.model_validate(spec)
    suite, again = _suites(asked)
    rows = measure_suites(job, asked.versions, [suite], asked.engine, asked.skip)
    for version in _unanswered(asked, again):
        tuned = VersionRef(id=version.id, path=_tuned(asked, version, suite, job))
        rows = measure_suites(job, [tuned], [again], asked.engine, asked.skip)
    return MeasureResult(measured=len(rows), seconds=time.monotonic() - started)


def _suites(asked: RelearnSpec) -> tuple[Suite, Suite]:
    try:
        suite = load_suite(asked.suite)
        return suite, asked_again(suite, asked.steps)
    except SuiteError as error:
        raise InvalidInput(str(error)) from error


def _unanswered(asked: RelearnSpec, again: Suite) -> list[VersionRef]:
    """The versions that have to be trained: those of which an answer after the steps is not stored yet."""
    wanted = {one.id: {key(one.id, again.suite, probe.id) for probe in again.items} for one in asked.tuned}
    return [one for one in asked.tuned if not wanted[one.id] <= asked.skip]


def _tuned(asked: RelearnSpec, version: VersionRef, suite: Suite, job: Job) -> Path:
    """What the lessons make of a version; what an earlier attempt finished is not trained again."""
    from learners.training import train

    parent = read_version(version.path, verify=False)
    tuned = job.work / "versions" / f"{version.id}{ENDING}"
    if not tuned.exists():
        _link(parent.weights.parent, tuned.parent)
        train(_order(asked, version, suite, job).model_dump(mode="json"), job)
        durable.publish(job.output / "version", tuned)
    # the next version's training would go on from them
    shutil.rmtree(job.work / "checkpoints", ignore_errors=True)
    shutil.rmtree(job.output / "version", ignore_errors=True)
    return tuned


def _link(base: Path, folder: Path) -> None:
    """An adapter is read with the base version beside it."""
    folder.mkdir(exist_ok=True)
    durable.publish(base, folder / base.name)


def _order(asked: RelearnSpec, version: VersionRef, suite: Suite, job: Job) -> TrainSpec:
    """Plain fine-tuning, whatever made the version: the question is what it needs, not what a method protects."""
    records, data = lessons(suite, asked.steps), job.work / "lessons.jsonl"
    write_records(data, records)
    return TrainSpec(
        version_id=f"{version.id}{ENDING}",
        parent=version.path,
        stage=_STAGES[records[0].kind],
        method="finetune",
        data=data,
        settings={"epochs": 1, "batch_size": BATCH, "memory_records": 0},
    )
