"""Gaps the other way round: norms that were retired and that a version follows still.

Owns what of a diagnosis is asked about them: the norm's own suite, of the version and of one that never learned it; the
rule is `monitors.gate.retired`'s. Preferences that retire a norm are no probes of their own, since what they prefer is
what must go. Called by `monitors.gaps.diagnosing`.
"""

from __future__ import annotations

from collections.abc import Sequence

from learners.failures import InvalidInput
from learners.parts.norms import retires
from learners.records import Record
from learners.worker import Job
from monitors.evidence import NotComparable
from monitors.gate.retired import followed_still, reading, told
from monitors.job import DiagnoseSpec, Followed, Gap, Measurement, RetiredNorm
from monitors.measure import measure_suites
from monitors.metrics.norms import NEAR_MISS
from monitors.probes.suites import load_suite

__all__ = ["ask", "gaps"]


def ask(job: Job, request: DiagnoseSpec) -> list[tuple[Followed, list[Measurement]]]:
    """The reading of every retired norm, with the version's scores that it rests on.

    Raises:
        InvalidInput: a norm's suite has fewer than 10 items in its scope, so nobody can tell.
    """
    return [_asked(job, request, one) for one in request.retired]


def _asked(job: Job, request: DiagnoseSpec, one: RetiredNorm) -> tuple[Followed, list[Measurement]]:
    suite = load_suite(one.suite)
    rows = measure_suites(job, [request.version, one.without], [suite], request.engine)
    mine, without = (
        [row for row in rows if row.version == version.id and row.suite == suite.suite]
        for version in (request.version, one.without)
    )
    try:
        return reading(one.norm, mine, without, request.retirement), mine
    except NotComparable as error:
        raise InvalidInput(
            f"nothing shows whether {request.version.id} follows the retired norm {one.norm!r}: suite "
            f"{suite.suite!r}: {error}"
        ) from error


def gaps(
    asked: Sequence[tuple[Followed, Sequence[Measurement]]], records: Sequence[Record], request: DiagnoseSpec
) -> tuple[Gap, ...]:
    """A gap for every retired norm that is followed still, with the records that take it out."""
    return tuple(_gap(found, rows, records) for found, rows in asked if followed_still(found, request.retirement))


def _gap(found: Followed, rows: Sequence[Measurement], records: Sequence[Record]) -> Gap:
    followed = (row.probe for row in rows if row.slice != NEAR_MISS and row.score > 0)
    mine = (record.id for record in records if retires(record) and record.content.get("norm") == found.norm)
    return Gap(
        id=f"retired-{found.norm}",
        topic=told(found),
        information_kind="value",
        severity=found.residual - found.level,
        evidence=tuple(followed),
        records=tuple(mine),
    )
