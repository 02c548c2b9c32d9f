"""What a run of stage ca is read for beside its scores: pairs after every update, and suites nobody trained for.

Owns which suites those are and how many of their items are asked: as many as of a task, evenly spaced. The base model
is measured once for all runs of a setup; it is read from the result of the run that measured it. Called by `one_run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.lab import Lab
from benchmarks.methods.pair_readings import pair_readings
from benchmarks.methods.setup import Alignment, PairReading, RunResult
from benchmarks.methods.tasks import Task
from learners.records import evenly
from monitors.probes.suites import Suite, load_suite, shipped_suites

__all__ = ["SUITES", "alignment"]

SUITES: Final = ("general", "instruction", "safety", "overrefusal")
"""Whose changes are GAD, IFD, SD and the over-refusal delta."""


def alignment(lab: Lab, tasks: Sequence[Task], versions: Sequence[str | None], items: int, bare: Path) -> Alignment:
    """Measure what is missing.

    Args:
        versions: of each row of the result; the first is the base, and None one that was not measured.
        items: most items of a suite.
        bare: result of the run that measured the base model alone, where there is one.
    """
    base, *later = versions
    known = RunResult.model_validate_json(bare.read_bytes()) if bare.exists() else None
    first = _of_base(known, tasks) or _row(lab, base, tasks)
    before = known.alignment.before if known and known.alignment else _suites(lab, base, items)
    after = before if later[-1] == base else _suites(lab, later[-1], items)
    return Alignment(pairs=(first, *(_row(lab, version, tasks) for version in later)), before=before, after=after)


def _of_base(known: RunResult | None, tasks: Sequence[Task]) -> tuple[PairReading | None, ...] | None:
    if known is None or known.alignment is None:
        return None
    readings = dict(zip(known.tasks, known.alignment.pairs[0], strict=True))
    return tuple(readings[task.name] for task in tasks)


def _row(lab: Lab, version: str | None, tasks: Sequence[Task]) -> tuple[PairReading | None, ...]:
    if version is None:
        return (None,) * len(tasks)
    readings = pair_readings(lab, version, tasks)
    return tuple(readings[task.name] for task in tasks)


def _suites(lab: Lab, version: str | None, items: int) -> dict[str, float]:
    return lab.scores(version, [_evenly(name, items) for name in SUITES]) if version else {}


def _evenly(name: str, most: int) -> Suite:
    """A shipped suite, cut down to `most` items over all of its slices."""
    whole = load_suite(shipped_suites()[name])
    return whole.model_copy(update={"items": tuple(evenly(whole.items, most))})
