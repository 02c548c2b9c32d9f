"""How much of a loss came back: a suite that an update lost, and what the updates after it brought back of it.

Owns which three stored scores the metric `recovery` is given on a line of versions; measures nothing. Called by
`monitors.chain` for every suite of the matrix.

Source: Cossu et al. 2022 (arXiv:2205.09357), who judge forgetting after light tuning, for what comes back quickly was
not gone. They tune k steps on the task (`monitors.relearned` does); here nothing is trained: k counts the updates made
since, and whether they rehearsed the suite's skill is theirs to say. So a low number says nothing of a suite that no
later update was about, and a high one that little was gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitors.gate.bounds import Interval, is_binary
from monitors.matrix import SuiteRow
from monitors.metrics import recovery

__all__ = ["Comeback", "comeback"]


@dataclass(frozen=True, slots=True)
class Comeback:
    """What came back of the worst loss of a suite.

    Attributes:
        before, forgotten, newest: the version of the best score before the loss, of the lowest after it, and the last.
        updates: k: how many updates of the line came after `forgotten`.
        recovery: 1 where all came back, 0 where nothing did, below 0 where more was lost since.
    """

    before: str
    forgotten: str
    newest: str
    updates: int
    recovery: float


def comeback(row: SuiteRow, line: Sequence[str], interval: Interval) -> Comeback | None:
    """What the line brought back of its worst loss; None where no loss is clear, or nothing was measured after it.

    Args:
        line: versions, oldest first.
        interval: a loss is clear where its bounds leave zero out; the greatest of many differences is often noise.
    """
    means = {version: mean for version in line if (mean := row.cell(version).mean) is not None}
    fall = _worst_fall(means)
    if fall is None or not _is_clear(row, *fall, interval):
        return None
    (before, forgotten), newest = fall, list(means)[-1]
    part = recovery(means[before], means[forgotten], means[newest])
    updates = line.index(newest) - line.index(forgotten)
    return None if part is None else Comeback(before, forgotten, newest, updates, part)


def _worst_fall(means: dict[str, float]) -> tuple[str, str] | None:
    """The versions between which a suite fell deepest, before the newest one; None where it never fell."""
    worst, pair, best = 0.0, None, ""
    for version in list(means)[:-1]:
        best = version if not best or means[version] >= means[best] else best
        if means[best] - means[version] > worst:
            worst, pair = means[best] - means[version], (best, version)
    return pair


def _is_clear(row: SuiteRow, before: str, forgotten: str, interval: Interval) -> bool:
    binary = is_binary(row.cell(before).scores, row.cell(forgotten).scores)
    _, high = interval.of([row.changes(forgotten, before)], row.suite, binary=binary)
    return high < 0.0
