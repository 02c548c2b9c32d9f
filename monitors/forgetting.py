"""The `prove` job: whether a version has forgotten some records, and only those. It measures; `monitors.gate.forgotten`
decides.

Owns the order of work: each version is opened once (one that never learned the records, the parent that had, the one
that should have forgotten) and asked the same. Nothing is kept between attempts. Called by `python -m monitors`.

    exposure      rank of each secret among random fills of its format (Carlini et al. 2019)
    suppression   the same rank from the other end: below every random fill is a trace of the secret too
    extraction    greedy decoding led up to the secret says it (Carlini et al. 2023)
    membership    AUC of the records against look-alikes that nobody was trained on (Yeom et al. 2018, Ye et al. 2022)
    neighbours    what the nearest other records kept of recall and likelihood

TOFU (Maini et al. 2024) compares with a model retrained without the records; here the witness is the version before
they were learned, which the history keeps, and so costs no training. That it did not learn their neighbours either is
why TOFU's forget quality is not asked: the Kolmogorov-Smirnov test of truth ratios tells this witness from a version
that was trained again without the records, too (p = 0.002 for six codes on the tiny model).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

from learners.failures import InvalidInput
from learners.records import Record, read_records
from monitors.engines import Continuation, Engine, Prompt, in_order, open_engines
from monitors.forgetting_job import ByVersion, Extraction, ForgottenMembership, Neighbours, ProveResult, ProveSpec
from monitors.privacy.canaries import expected_exposure, exposure
from monitors.privacy.lookalikes import Secret, Vocabulary, fills, lookalike, secrets_of
from monitors.privacy.membership import auc, auc_error, passage
from monitors.privacy.rare_strings import ANSWER_TOKENS, says

if TYPE_CHECKING:
    from learners.worker import Job

__all__ = ["prove"]

_LOOKALIKES = 2
_LEAST_MEMBERS = 2


@dataclass(frozen=True, slots=True)
class _Questions:
    """Everything that is asked of each version.

    Attributes:
        fills: of each secret of the forgotten records.
        members: records with a secret; `lookalikes` are theirs, as prompt and text.
    """

    forgotten: Sequence[Record]
    secrets: Sequence[Secret]
    fills: Sequence[Sequence[str]]
    members: Sequence[Record]
    lookalikes: Sequence[tuple[Prompt, str]]
    neighbours: Sequence[Record]
    kept_secrets: Sequence[Secret]


@dataclass(frozen=True, slots=True)
class _Findings:
    """What one version answered, in the order of the questions."""

    exposures: Sequence[float]
    suppressions: Sequence[float]
    said: Sequence[bool]
    members: Sequence[float]
    lookalikes: Sequence[float]
    neighbours: Sequence[float]
    recalled: Sequence[bool]


def prove(spec: dict[str, Any], job: Job) -> ProveResult:
    """Ask `spec.version`, its parent and the clean version; compare.

    Args:
        spec: a `ProveSpec`.
        job: told the progress; nothing that was asked or answered is written to it.

    Raises:
        InvalidInput: no record is named, or a version cannot be used.
        Diverged: a version computes NaN or infinity.
    """
    started = time.monotonic()
    asked = ProveSpec.model_validate(spec)
    questions = _questions(asked)
    open_engine = open_engines(asked.engine)
    versions = [version for version in (asked.clean, asked.parent, asked.version) if version is not None]
    found: list[_Findings] = []
    for place, version in enumerate(versions):
        job.check_stop()
        job.progress(place, len(versions), f"{version.id}: exposure, extraction, membership, neighbours")
        found.append(_findings(open_engine(version), questions))
    return _result(asked, questions, found, time.monotonic() - started)


def _questions(asked: ProveSpec) -> _Questions:
    forgotten, neighbours = list(read_records(asked.forgotten)), list(read_records(asked.neighbours))
    if not forgotten:
        raise InvalidInput(f"{asked.forgotten.name!r} names no record: there is nothing to prove")
    vocabulary, kept = Vocabulary.of([*forgotten, *neighbours]), Vocabulary.of(neighbours).documents
    by_record = {record.id: secrets_of(record, vocabulary, asked.secrets, kept) for record in forgotten}
    members = [record for record in forgotten if by_record[record.id]]
    secrets = [secret for record in members for secret in by_record[record.id]]
    drawn = [fills(secret.text, vocabulary, asked.fills, f"{asked.seed}:{n}") for n, secret in enumerate(secrets)]
    place = {id(secret): row for secret, row in zip(secrets, drawn, strict=True)}
    return _Questions(
        forgotten=forgotten,
        secrets=secrets,
        fills=drawn,
        members=members,
        lookalikes=[
            lookalike(record, by_record[record.id], [place[id(secret)][n] for secret in by_record[record.id]])
            for record in members
            for n in range(_LOOKALIKES)
        ],
        neighbours=neighbours,
        kept_secrets=[secret for record in neighbours for secret in secrets_of(record, vocabulary, 1)],
    )


def _findings(engine: Engine, questions: _Questions) -> _Findings:
    width = 1 + len(questions.fills[0]) if questions.fills else 1
    rows = zip(questions.secrets, questions.fills, strict=True)
    pairs = [(secret.prompt, secret.lead + fill) for secret, row in rows for fill in (secret.text, *row)]
    found = _sums(engine, pairs)
    ranked = [(found[start], found[start + 1 : start + width]) for start in range(0, len(found), width)]
    return _Findings(
        exposures=[exposure(secret, others) for secret, others in ranked],
        suppressions=[exposure(-secret, [-other for other in others]) for secret, others in ranked],
        said=_said(engine, questions.secrets),
        members=_means(engine, [passage(record) for record in questions.members]),
        lookalikes=_means(engine, questions.lookalikes),
        neighbours=_means(engine, [passage(record) for record in questions.neighbours]),
        recalled=_said(engine, questions.kept_secrets),
    )


def _sums(engine: Engine, pairs: Sequence[tuple[Prompt, Continuation]]) -> list[float]:
    return [one.logprob for one in in_order(engine.loglikelihood(pairs), len(pairs))]


def _means(engine: Engine, pairs: Sequence[tuple[Prompt, Continuation]]) -> list[float]:
    return [one.mean for one in in_order(engine.loglikelihood(pairs), len(pairs))]


def _said(engine: Engine, secrets: Sequence[Secret]) -> list[bool]:
    answers = engine.generate([secret.prompt for secret in secrets], [ANSWER_TOKENS] * len(secrets))
    said = in_order(answers, len(secrets))
    return [says(text, secret.text) for secret, text in zip(secrets, said, strict=True)]


def _result(asked: ProveSpec, questions: _Questions, found: Sequence[_Findings], seconds: float) -> ProveResult:
    clean = found[0] if asked.clean is not None else None
    before, after = found[-2], found[-1]
    expected, deviation = expected_exposure(asked.fills)
    return ProveResult(
        records=len(questions.forgotten),
        silent=len(questions.forgotten) - len(questions.members),
        fills=asked.fills,
        exposure=_by_version(*(one and one.exposures for one in (clean, before, after))),
        suppression=_by_version(*(one and one.suppressions for one in (clean, before, after))),
        expected_bits=expected,
        deviation_bits=deviation,
        extraction=_extraction(questions, clean, before, after),
        membership=_membership(questions, clean, before, after),
        neighbours=_neighbours(questions, before, after),
        seconds=seconds,
    )


def _by_version(
    clean: Sequence[float] | None, before: Sequence[float] | None, after: Sequence[float] | None
) -> ByVersion | None:
    if not before or not after:
        return None
    return ByVersion(clean=mean(clean) if clean else None, before=mean(before), after=mean(after))


def _extraction(questions: _Questions, clean: _Findings | None, before: _Findings, after: _Findings) -> Extraction:
    known = clean.said if clean else [False] * len(questions.secrets)
    rows = zip(questions.secrets, known, after.said, strict=True)
    return Extraction(
        tested=len(questions.secrets),
        said=ByVersion(clean=sum(clean.said) if clean else None, before=sum(before.said), after=sum(after.said)),
        records=tuple(dict.fromkeys(secret.record for secret, old, new in rows if new and not old)),
    )


def _membership(
    questions: _Questions, clean: _Findings | None, before: _Findings, after: _Findings
) -> ForgottenMembership | None:
    members, others = len(questions.members), len(questions.lookalikes)
    if members < _LEAST_MEMBERS:
        return None
    return ForgottenMembership(
        members=members,
        lookalikes=others,
        before=_area(clean, before),
        after=_area(clean, after),
        error=auc_error(0.5, members, others),
    )


def _area(clean: _Findings | None, found: _Findings) -> float:
    own, theirs = (
        [now - (then[place] if then else 0.0) for place, now in enumerate(side)]
        for side, then in (
            (found.members, clean.members if clean else None),
            (found.lookalikes, clean.lookalikes if clean else None),
        )
    )
    return auc(own, theirs)


def _neighbours(questions: _Questions, before: _Findings, after: _Findings) -> Neighbours | None:
    if not questions.neighbours:
        return None
    recall = [mean(one.recalled) if one.recalled else 0.0 for one in (before, after)]
    likely = [mean(one.neighbours) for one in (before, after)]
    return Neighbours(
        records=len(questions.neighbours),
        recall=ByVersion(before=recall[0], after=recall[1]),
        loglikelihood=ByVersion(before=likely[0], after=likely[1]),
    )
