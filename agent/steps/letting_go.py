"""Norms that were retired, in a cycle that takes them out of the weights: what is asked of them, and what came of it.

Owns the link between the registry, the versions and `monitors.gate.retired`: which version shows the level without a
norm, and which measurements the judgement rests on. Shared by the steps `diagnosing`, `planning` and `judging`; reads
only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from agent import measured
from agent.config import Config
from agent.context import Context
from agent.history.norms import without
from agent.steps import looks
from agent.store import Session, jobs, measurements, norms, plans
from agent.store.cycles import Cycle
from learners.parts.norms import retires
from learners.records import Record
from monitors.gate import retired
from monitors.job import DiagnoseResult, Followed, Measurement, RetiredNorm, RetirementPolicy

__all__ = ["against", "asked", "policy", "told", "won"]


def policy(config: Config) -> RetirementPolicy:
    """When a retired norm counts as followed still, from [gate]."""
    gate = config.gate
    return RetirementPolicy(least=gate.target_gain, confidence=gate.confidence, resamples=gate.resamples)


def asked(context: Context, records: Iterable[Record], version: str, folder: Path) -> tuple[RetiredNorm, ...]:
    """The norms that records retire, with copies of their suites; those without a suite or a version to compare with
    are left out, for nobody can tell whether they are followed.

    Args:
        version: that is asked.
        folder: of the job that asks.
    """
    named = {record.content["norm"] for record in records if retires(record)}
    with context.store.read() as tx:
        known = {name: (norms.get(tx, name).suite, without(tx, name, version)) for name in sorted(named)}
    return tuple(
        RetiredNorm(norm=name, suite=_copy(context, suite, folder), without=measured.reference(context.layout, clean))
        for name, (suite, clean) in known.items()
        if suite is not None and clean is not None
    )


def _copy(context: Context, suite: str, folder: Path) -> Path:
    return measured.copied([measured.suite_file(context.layout, suite)], folder)[0]


def told(found: Sequence[Followed]) -> str:
    """What a diagnosis found of retired norms; empty where none is at hand."""
    return "; ".join(map(retired.told, found))


def won(context: Context, cycle: Cycle) -> str:
    """What a cycle that only retires did, which no suite can win: a sentence on each norm.

    Empty of any other cycle, and where nothing was read of the norms: then nothing was won.
    """
    with context.store.read() as tx:
        if {one["change"] for one in plans.norms_of(tx, cycle.id)} != {"retire"}:
            return ""
        rows = [(one.norm, _sides(context, tx, cycle, one)) for one in _followed(tx, cycle)]
    rule = policy(context.config)
    said = "; ".join(retired.shown(name, one.candidate, one.without, rule) for name, one in rows)
    return f"let go: {said}" if said else ""


def against(context: Context, cycle: Cycle) -> tuple[str, ...]:
    """What stands against saying that the norms which a cycle retires are let go."""
    with context.store.read() as tx:
        rows = [(one.norm, _sides(context, tx, cycle, one)) for one in _followed(tx, cycle)]
    rule = policy(context.config)
    return tuple(
        why for norm, sides in rows for why in retired.against(norm, sides.parent, sides.candidate, sides.without, rule)
    )


class _Sides(NamedTuple):
    """Scores on a retired norm's suite."""

    parent: list[Measurement]
    candidate: list[Measurement]
    without: list[Measurement]


def _followed(tx: Session, cycle: Cycle) -> list[Followed]:
    """What the diagnosis of a cycle read of the norms that its plan retires."""
    names = {one["norm"] for one in plans.norms_of(tx, cycle.id) if one["change"] == "retire"}
    answers = [job.result for job in jobs.of_cycle(tx, cycle.id) if job.step == "diagnosing" and job.result]
    found = [one for answer in answers for one in DiagnoseResult.model_validate(answer).followed]
    return [one for one in found if one.norm in names]


def _sides(context: Context, tx: Session, cycle: Cycle, one: Followed) -> _Sides:
    digests = [suite.digest for suite in looks.suites(context, cycle) if suite.suite == one.suite]
    engine = looks.first(context, cycle).engine.digest()
    versions = (cycle.parent or "", cycle.candidate or "", one.without)
    return _Sides(*(measurements.of(tx, version, digests, engine) for version in versions))
