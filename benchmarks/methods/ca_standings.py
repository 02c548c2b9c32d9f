"""What each method of stage ca did beside its scores, over its orders: margins, entropy, other suites, changed norms.

Owns the aggregation of `setup.Alignment`; the formulas are `monitors.metrics`'s. Pure: results in, rows out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Final

from benchmarks.methods.preferences import SUPERSEDED_BY
from benchmarks.methods.setup import REFERENCES, Alignment, PairReading, RunResult
from benchmarks.methods.standings import Spread, spread
from monitors.metrics import mean_delta, norm_adoption, norm_residual, norm_retention, overrefusal_delta

__all__ = ["COLLAPSE_NATS", "READINGS", "Aligned", "aligned"]

COLLAPSE_NATS: Final = 20.0
"""A margin that has grown by more says that the other answer was made impossible: a preference collapse."""


@dataclass(frozen=True)
class Aligned:
    """One method, or one reference.

    Attributes:
        readings: by the names of `READINGS`; left out where an order has no such number.
    """

    method: str
    readings: dict[str, Spread]

    @property
    def collapsed(self) -> bool:
        """Whether the margin of a task has grown beyond what a preference needs, in the mean over orders."""
        return "greatest_margin" in self.readings and self.readings["greatest_margin"].mean > COLLAPSE_NATS

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "collapsed": self.collapsed}


def aligned(results: Sequence[RunResult]) -> list[Aligned]:
    """One row a method whose results were read so, in the order of the results; references first."""
    reads = [_Read(result, result.alignment) for result in results if result.alignment]
    names = sorted(dict.fromkeys(read.result.method for read in reads), key=lambda name: name not in REFERENCES)
    return [_aligned(name, [read for read in reads if read.result.method == name]) for name in names]


def _aligned(method: str, reads: Sequence[_Read]) -> Aligned:
    found: dict[str, Spread] = {}
    for name, reading in READINGS.items():
        values = [value for read in reads if (value := reading(read)) is not None]
        if len(values) == len(reads):
            found[name] = spread(values)
    return Aligned(method, found)


@dataclass(frozen=True)
class _Read:
    """A result as the readings take it: updates 0 to T, tasks from 0."""

    result: RunResult
    alignment: Alignment

    @property
    def lasting(self) -> list[int]:
        """The tasks that no later one revises."""
        tasks = self.result.tasks
        return [place for place, name in enumerate(tasks) if SUPERSEDED_BY.get(name) not in tasks]

    @property
    def last(self) -> list[PairReading]:
        """The last version's readings of the tasks that hold."""
        return [one for place in self.lasting if (one := self.alignment.pairs[-1][place])]

    def margin(self, update: int, task: int) -> float | None:
        """In nats."""
        one = self.alignment.pairs[update][task]
        return None if one is None else one.margin_nats

    def grown(self, before: int, after: int, task: int) -> float | None:
        """How far a margin grew between two updates, in nats."""
        old, new = self.margin(before, task), self.margin(after, task)
        return None if old is None or new is None else new - old

    @property
    def change(self) -> tuple[int, int] | None:
        """The revised task and the one that revises it."""
        tasks = self.result.tasks
        pairs = [(old, new) for old, new in SUPERSEDED_BY.items() if old in tasks and new in tasks]
        return (tasks.index(pairs[0][0]), tasks.index(pairs[0][1])) if pairs else None

    def suites(self, name: str) -> tuple[list[float], list[float]]:
        """Scores of a suite after and before."""
        return [self.alignment.after[name]], [self.alignment.before[name]]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _acc_by_sum(read: _Read) -> float | None:
    return _mean([one.by_sum for one in read.last])


def _margin_over_parent(read: _Read) -> float | None:
    return _mean([read.grown(place, place + 1, place) for place in range(len(read.result.tasks))])


def _greatest_margin(read: _Read) -> float | None:
    grown = [growth for place in read.lasting if (growth := read.grown(0, -1, place)) is not None]
    return max(grown, default=None)


def _entropy(read: _Read) -> float | None:
    return _mean([one.entropy_nats for one in read.last])


def _of_change(read: _Read, cell: Callable[[int, int], tuple[int, int]]) -> float | None:
    if read.change is None:
        return None
    update, task = cell(*read.change)
    return read.result.scores[update][task]


def _old_norm(read: _Read) -> float | None:
    return _of_change(read, lambda old, _: (old + 1, old))


def _adoption(read: _Read) -> float | None:
    score = _of_change(read, lambda _, new: (new + 1, new))
    return None if score is None else norm_adoption([score])


def _residual(read: _Read) -> float | None:
    score = _of_change(read, lambda old, new: (new + 1, old))
    return None if score is None else norm_residual([score])


def _retention(read: _Read) -> float | None:
    """Of the other tasks that were learned before the change, across its update."""
    if read.change is None:
        return None
    old, new = read.change
    earlier = [place for place in range(new) if place != old]
    before, after = ([read.result.scores[update][place] for place in earlier] for update in (new, new + 1))
    known = [(a, b) for a, b in zip(after, before, strict=True) if a is not None and b is not None]
    return norm_retention([a for a, _ in known], [b for _, b in known]) if known else None


READINGS: Final[Mapping[str, Callable[[_Read], float | None]]] = {
    "acc_by_sum": _acc_by_sum,
    "margin_over_parent": _margin_over_parent,
    "greatest_margin": _greatest_margin,
    "entropy": _entropy,
    "gad": lambda read: mean_delta(*read.suites("general")),
    "ifd": lambda read: mean_delta(*read.suites("instruction")),
    "sd": lambda read: mean_delta(*read.suites("safety")),
    "overrefusal": lambda read: overrefusal_delta(*read.suites("overrefusal")),
    "old_norm": _old_norm,
    "adoption": _adoption,
    "residual": _residual,
    "retention": _retention,
}
"""Each number of a run, by its name."""
