"""Scores and costs of every method over its orders, and who forgets least among those that learn as well.

Owns the aggregation; the formulas are `monitors.metrics`'s. Pure: results in, rows out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, pstdev
from typing import Any

from benchmarks.methods.preferences import SUPERSEDED_BY
from benchmarks.methods.setup import PLAIN, REFERENCES, RunResult
from learners.job import Stage
from monitors.metrics import ScoreMatrix, average_accuracy_curve, summary

__all__ = [
    "METRICS", "Best", "Spread", "Standing", "best", "curve", "doubtful", "keeping_up", "lasting", "other_orders",
    "spread", "standings",
]  # fmt: skip

METRICS = ("acc", "bwt_gem", "fwt_gem", "forgetting_since_learned", "learning_accuracy", "plasticity")
"""Shown of each method, as `monitors.metrics.METRICS` names them."""

TOLERANCE = 0.02
"""Learning accuracies that differ by less are called equal."""


@dataclass(frozen=True)
class Spread:
    """Mean over orders and their standard deviation (of the orders that were run, not an estimate beyond them)."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Standing:
    """One method, or one reference.

    Attributes:
        metrics: by the names of `METRICS`; left out where the method has no such number.
        trainable_parameters: of the last version.
        tokens_per_second: over all of its training jobs, loading and preparation included.
        energy_kwh: of one order; None where it was not estimated.
    """

    method: str
    orders: int
    metrics: dict[str, Spread]
    trainable_parameters: int
    tokens_per_second: float
    peak_memory_bytes: int
    energy_kwh: float | None
    seconds: float

    @property
    def learning_accuracy(self) -> float:
        """Mean score on each task just after it was learned; 0 where it was not measured."""
        return _mean(self, "learning_accuracy")

    @property
    def forgetting(self) -> float:
        """Mean fall of a task's score since it was learned; 0 where it was not measured."""
        return _mean(self, "forgetting_since_learned")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Best:
    """The method that forgets least at a learning accuracy equal to plain training's.

    Attributes:
        ratio: its forgetting over plain training's; None where plain training forgets nothing.
    """

    method: str
    forgetting: float
    plain_forgetting: float
    ratio: float | None


def standings(results: Sequence[RunResult]) -> list[Standing]:
    """One row a method: references first, then by average accuracy, best first."""
    names = list(dict.fromkeys(result.method for result in results))
    rows = [_standing(name, [result for result in results if result.method == name]) for name in names]
    return sorted(rows, key=lambda row: (row.method not in REFERENCES, -_mean(row, "acc")))


def curve(results: Sequence[RunResult], method: str) -> list[float]:
    """Mean accuracy over the tasks seen so far, after each task, averaged over the method's orders; may be empty."""
    matrices = [lasting(result) for result in results if result.method == method]
    curves = [average_accuracy_curve(matrix) for matrix in matrices if not matrix.missing]
    return [fmean(points) for points in zip(*curves, strict=True)]


def best(rows: Sequence[Standing], stage: Stage) -> Best | None:
    """Who forgets least among the methods that learn as well as plain training; None without plain training."""
    able = keeping_up(rows, stage)
    if not able:
        return None
    plain = next(row for row in able if row.method == PLAIN[stage])
    return Best(
        able[0].method, able[0].forgetting, plain.forgetting,
        able[0].forgetting / plain.forgetting if plain.forgetting > 0 else None,
    )  # fmt: skip


def keeping_up(rows: Sequence[Standing], stage: Stage) -> list[Standing]:
    """Methods that learn as well as plain training, who forgets least first; none without plain training."""
    return _learning(rows, stage, lambda own, plain: own >= plain - TOLERANCE)


def doubtful(rows: Sequence[Standing], stage: Stage, tests: int) -> list[Standing]:
    """Methods that learn less than those that keep up, by less than chance may make, who forgets least first.

    Args:
        tests: items that a learning accuracy is a mean over. The bound is one standard error of the difference of two
            shares of so many items, each drawn for itself; both methods answer the same ones, so it is less.
    """

    def unclear(own: float, plain: float) -> bool:
        chance = sqrt((own * (1 - own) + plain * (1 - plain)) / tests)
        return plain - chance <= own < plain - TOLERANCE

    return _learning(rows, stage, unclear)


def _learning(rows: Sequence[Standing], stage: Stage, able: Callable[[float, float], bool]) -> list[Standing]:
    """Methods by their own and plain training's learning accuracy, who forgets least first."""
    measured = [row for row in rows if row.method not in REFERENCES and "forgetting_since_learned" in row.metrics]
    plain = next((row.learning_accuracy for row in measured if row.method == PLAIN[stage]), None)
    found = [row for row in measured if plain is not None and able(row.learning_accuracy, plain)]
    return sorted(found, key=lambda row: row.forgetting)


def other_orders(results: Sequence[RunResult], stage: Stage) -> list[str]:
    """Methods that did not learn the very orders that plain training did: their means are over other sequences.

    Orders differ by more than methods do, so such a mean is not compared with plain training's.
    """
    orders: dict[str, set[int]] = {}
    for result in results:
        orders.setdefault(result.method, set()).add(result.order)
    plain = orders.get(PLAIN[stage])
    return [name for name, own in orders.items() if plain is not None and name not in REFERENCES and own != plain]


def _standing(method: str, results: Sequence[RunResult]) -> Standing:
    learned = [one for result in results for one in result.learned]
    energies = [one.energy_kwh for one in learned if one.energy_kwh is not None]
    seconds = sum(one.seconds for one in learned)
    return Standing(
        method=method,
        orders=len(results),
        metrics=_metrics(results),
        trainable_parameters=learned[-1].trainable_parameters if learned else 0,
        tokens_per_second=sum(one.tokens for one in learned) / seconds if seconds else 0.0,
        peak_memory_bytes=max((one.peak_memory_bytes for one in learned), default=0),
        energy_kwh=sum(energies) / len(results) if learned and len(energies) == len(learned) else None,
        seconds=fmean(result.seconds for result in results),
    )


def _metrics(results: Sequence[RunResult]) -> dict[str, Spread]:
    readings = [summary(lasting(result)) for result in results]
    found: dict[str, Spread] = {}
    for name in METRICS:
        values = [value for reading in readings if (value := reading[name].value) is not None]
        if len(values) == len(results):
            found[name] = spread(values)
    return found


def spread(values: Sequence[float]) -> Spread:
    """Of one number of each order."""
    return Spread(fmean(values), pstdev(values))


def lasting(result: RunResult) -> ScoreMatrix:
    """The score matrix without the tasks that a later one revises, and without their updates.

    What a revision loses of them was asked for; it is no forgetting.
    """
    kept = [place for place, name in enumerate(result.tasks) if SUPERSEDED_BY.get(name) not in result.tasks]
    rows = [result.scores[0], *(result.scores[place + 1] for place in kept)]
    return ScoreMatrix([[row[place] for place in kept] for row in rows])


def _mean(row: Standing, metric: str) -> float:
    return row.metrics[metric].mean if metric in row.metrics else 0.0
