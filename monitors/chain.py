"""What a chain of updates did: drift from the anchor, GAD, IFD and SD, and the metrics of continual learning.

Owns how a `matrix.VersionMatrix` becomes the numbers of `metrics`; measures nothing and sets no tolerance. A gate that
compares a candidate with its parent alone lets ten losses of 0.04 pass one by one: here they stand together, the sum
beside the worst single step. Called by `agent.history.matrix`.

A cycle set out to learn one suite: that is its task. So the row of update t in R[t, i] is the t-th version of the line
that learned one, and row 0 the base model. The daemon does not measure every version on every old task; a metric that
lacks a score is not computed, and says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from monitors.gate.bounds import TWO_SIDED_95, is_binary
from monitors.gate.deltas import DELTAS
from monitors.matrix import SuiteRow, VersionMatrix
from monitors.metrics import METRICS, Reading, ScoreMatrix, summary
from monitors.recovering import Comeback, comeback

__all__ = ["Chain", "ChainReading", "Drift", "Link", "RoleChange", "chain", "drift", "role_deltas"]


@dataclass(frozen=True, slots=True)
class Drift:
    """What a line of updates did to a suite.

    Attributes:
        since_anchor: score of the newest version of the line less the anchor's; None where one is missing.
        low, high: 95 % interval of `since_anchor` over the suite's items.
        worst_step: greatest loss (least change) of a single update; None where none was measured on both sides.
        comeback: what later updates brought back of the suite's worst loss; None where none is clear.
    """

    suite: str
    since_anchor: float | None = None
    low: float | None = None
    high: float | None = None
    worst_step: float | None = None
    comeback: Comeback | None = None


def drift(matrix: VersionMatrix, line: Sequence[str], anchor: str | None) -> list[Drift]:
    """Each suite's change since the anchor beside its worst single step: slow decay is a large sum of small steps.

    Args:
        line: the serving version and its ancestors, oldest first; at least one. Steps before the anchor are left out
            where it is one of them.
        anchor: None where there is none.
    """
    since = line[line.index(anchor) :] if anchor in line else line
    return [_drift(row, since, anchor) for row in matrix.suites]


def _drift(row: SuiteRow, since: Sequence[str], anchor: str | None) -> Drift:
    steps = [step for old, new in pairwise(since) if (step := row.change(new, old)) is not None]
    worst = min(steps, default=None)
    back = comeback(row, since, TWO_SIDED_95)
    newest = since[-1]
    changes = row.changes(newest, anchor) if anchor is not None and anchor != newest else ()
    if not changes:
        return Drift(row.suite, worst_step=worst, comeback=back)
    binary = anchor is not None and is_binary(row.cell(newest).scores, row.cell(anchor).scores)
    low, high = TWO_SIDED_95.of([changes], row.suite, binary=binary)
    return Drift(row.suite, sum(changes) / len(changes), low, high, worst, back)


@dataclass(frozen=True, slots=True)
class RoleChange:
    """GAD, IFD, SD or the over-refusal delta of a version, over the `suites` that it and the reference share."""

    metric: str
    value: float | None
    suites: tuple[str, ...]


def role_deltas(matrix: VersionMatrix, version: str, reference: str) -> list[RoleChange]:
    """GAD, IFD, SD and the over-refusal delta of a version against a reference; None where they share no such suite.

    TRACE's reference is the initial model.
    """
    found: list[RoleChange] = []
    for metric, role in DELTAS.items():
        own = [
            (row.suite, row.cell(version).mean, row.cell(reference).mean) for row in matrix.suites if row.role == role
        ]
        shared = [(suite, new, old) for suite, new, old in own if new is not None and old is not None]
        suites, after, before = zip(*shared, strict=True) if shared else ((), (), ())
        found.append(RoleChange(metric, METRICS[metric].function(after, before) if shared else None, suites))
    return found


@dataclass(frozen=True, slots=True)
class Link:
    """A version of the line, and the suite that its cycle set out to learn; None for the base model."""

    version: str
    suite: str | None = None


@dataclass(frozen=True, slots=True)
class ChainReading:
    """A metric of the chain: its value, or None, why not, and the (version, suite) scores that it lacks."""

    metric: str
    value: float | None
    source: str
    better: str
    headline: bool
    why_not: str = ""
    missing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """The metrics of continual learning on a line of versions.

    Attributes:
        links: the version of row t of R[t, i], with the suite of task t; row 0 is the base model.
        skipped: versions that were measured on no suite of their own: they have no row, and what they changed counts
            to the version after them.
    """

    links: tuple[Link, ...]
    skipped: tuple[str, ...]
    readings: tuple[ChainReading, ...]


def chain(matrix: VersionMatrix, line: Sequence[Link]) -> Chain:
    """Compute every metric of a score matrix on a line.

    Args:
        line: the serving version and its ancestors, oldest (the base model) first.
    """
    learned = [link for link in line[1:] if link.suite is not None and matrix.row(link.suite) is not None]
    links = (*line[:1], *learned)
    return Chain(
        links=links,
        skipped=tuple(link.version for link in line[1:] if link not in learned),
        readings=tuple(_reading(name, one, links) for name, one in _read(matrix, links).items()),
    )


def _read(matrix: VersionMatrix, links: Sequence[Link]) -> Mapping[str, Reading]:
    if len(links) < 2:
        none = Reading(None, "no version of the line was measured on a suite that it set out to learn")
        return {name: none for name, metric in METRICS.items() if metric.takes == "matrix"}
    rows = [row for link in links[1:] if (row := matrix.row(link.suite or "")) is not None]
    return summary(ScoreMatrix([[row.cell(link.version).mean for row in rows] for link in links]))


def _reading(name: str, reading: Reading, links: Sequence[Link]) -> ChainReading:
    metric = METRICS[name]
    return ChainReading(
        metric=name,
        value=reading.value,
        source=metric.source,
        better=metric.better,
        headline=metric.headline,
        why_not=reading.why_not,
        missing=tuple((links[update].version, links[task].suite or "") for update, task in reading.missing),
    )
