"""The `audit` job: what an update left in a version that no suite of the gate asks for. It reports; judging decides.

Owns the order of work: each version is opened once, the reference first, and asked everything. What is asked is
`monitors.privacy`'s and the suites'. Nothing is kept between attempts: a stopped audit begins anew. Called by
`python -m monitors JOB_DIR`; its answer becomes part of the version's card.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from learners.failures import InvalidInput
from learners.records import Record, evenly, read_records
from monitors.audit_job import (
    AuditResult,
    AuditSpec,
    Canaries,
    CanaryExposure,
    Membership,
    RareStrings,
    SuiteChange,
)
from monitors.engines import Engine, Likelihood, open_engines
from monitors.job import VersionRef
from monitors.measure import measurements
from monitors.privacy.canaries import Canary, draw, expected_exposure, exposures, leak_limit, planted
from monitors.privacy.membership import auc, auc_error, likelihoods, min_k
from monitors.privacy.rare_strings import RareString, extracted, rare_strings
from monitors.probes.suites import Suite, SuiteError, load_suite

if TYPE_CHECKING:
    from learners.worker import Job

__all__ = ["audit"]

_PARTS = 4


def audit(spec: dict[str, Any], job: Job) -> AuditResult:
    """Ask `spec.version` and its reference; compare.

    Args:
        spec: an `AuditSpec`.
        job: told the progress; nothing that was asked or answered is written to it.

    Raises:
        InvalidInput: a suite or a version cannot be used.
        Diverged: a version computes NaN or infinity.
    """
    started = time.monotonic()
    asked = AuditSpec.model_validate(spec)
    questions = _questions(asked)
    open_engine = open_engines(asked.engine)
    before, after = (
        _findings(job, place, version, open_engine(version), asked, questions)
        for place, version in enumerate((asked.reference, asked.version))
    )
    return AuditResult(
        canaries=_canaries(asked, questions, after),
        rare_strings=_rare(questions, before, after),
        membership=_membership(before, after),
        suites=tuple(
            SuiteChange(suite=suite.suite, items=len(suite.items), before=old, after=new)
            for suite, old, new in zip(questions.suites, before.suites, after.suites, strict=True)
        ),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Questions:
    """Everything that is asked of both versions."""

    members: Sequence[Record]
    fresh: Sequence[Record]
    planted: dict[Canary, int]
    controls: Sequence[Canary]
    strings: Sequence[RareString]
    suites: Sequence[Suite]


@dataclass(frozen=True, slots=True)
class _Findings:
    """What one version answered, in the order of the questions; `exposures` are of planted, then of controls."""

    exposures: Sequence[float]
    extracted: Sequence[bool]
    members: Sequence[Likelihood]
    fresh: Sequence[Likelihood]
    suites: Sequence[float]


def _questions(asked: AuditSpec) -> _Questions:
    learned = list(read_records(asked.members))
    canaries = planted(learned)
    plain = [record for record in learned if not planted([record])]
    try:
        suites = [load_suite(path) for path in asked.suites]
    except SuiteError as error:
        raise InvalidInput(str(error)) from error
    return _Questions(
        members=evenly(plain, asked.most_records),
        fresh=evenly(list(read_records(asked.fresh)), asked.most_records),
        planted=canaries,
        controls=draw(asked.controls, f"{asked.seed} controls"),
        strings=rare_strings(plain, asked.most_strings),
        suites=suites,
    )


def _findings(
    job: Job, place: int, version: VersionRef, engine: Engine, asked: AuditSpec, questions: _Questions
) -> _Findings:
    def tell(part: int, what: str) -> None:
        job.check_stop()
        job.progress(place * _PARTS + part, 2 * _PARTS, f"{version.id}: {what}")

    tell(0, "canaries")
    canaries = [*questions.planted, *questions.controls]
    found = exposures(engine, canaries, asked.candidates, str(asked.seed)) if place else []
    tell(1, "rare strings")
    said = extracted(engine, questions.strings)
    tell(2, "membership")
    members, fresh = likelihoods(engine, questions.members), likelihoods(engine, questions.fresh)
    tell(3, "suites that report")
    means = [_mean_score(engine, version.id, suite, asked) for suite in questions.suites]
    return _Findings(found, said, members, fresh, means)


def _mean_score(engine: Engine, version_id: str, suite: Suite, asked: AuditSpec) -> float:
    rows = list(measurements(engine, version_id, [(suite, probe) for probe in suite.items], asked.engine))
    return sum(row.score for row in rows) / len(rows)


def _canaries(asked: AuditSpec, questions: _Questions, after: _Findings) -> Canaries:
    expected, deviation = expected_exposure(asked.candidates)
    count = len(questions.planted)
    own, controls = after.exposures[:count], after.exposures[count:]
    limit = leak_limit(asked.candidates)
    rows = zip(questions.planted.items(), own, strict=True)
    return Canaries(
        planted=tuple(
            CanaryExposure(name=canary.name, times=times, exposure_bits=bits, leaked=bits > limit)
            for (canary, times), bits in rows
        ),
        limit_bits=limit,
        expected_bits=expected,
        control_bits=sum(controls) / len(controls),
        z=(sum(own) / count - expected) / (deviation / math.sqrt(count)) if count else 0.0,
    )


def _rare(questions: _Questions, before: _Findings, after: _Findings) -> RareStrings:
    answers = zip(questions.strings, before.extracted, after.extracted, strict=True)
    return RareStrings(
        tested=len(questions.strings),
        extracted=sum(after.extracted),
        extracted_by_reference=sum(before.extracted),
        records=tuple(dict.fromkeys(item.record for item, old, new in answers if new and not old)),
    )


def _membership(before: _Findings, after: _Findings) -> Membership | None:
    if min(len(after.members), len(after.fresh)) < 2:
        return None
    gained = [
        [new.mean - old.mean for new, old in zip(now, then, strict=True)]
        for now, then in ((after.members, before.members), (after.fresh, before.fresh))
    ]
    area = auc(*gained)
    return Membership(
        members=len(after.members),
        fresh=len(after.fresh),
        loss_auc=auc([found.mean for found in after.members], [found.mean for found in after.fresh]),
        min_k_auc=_min_k_auc(after),
        reference_auc=area,
        reference_auc_error=auc_error(area, len(after.members), len(after.fresh)),
    )


def _min_k_auc(after: _Findings) -> float | None:
    members, fresh = ([min_k(found) for found in side] for side in (after.members, after.fresh))
    known = [[signal for signal in side if signal is not None] for side in (members, fresh)]
    return auc(*known) if list(map(len, known)) == [len(members), len(fresh)] else None
