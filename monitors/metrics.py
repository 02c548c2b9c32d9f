"""Metrics of continual learning, every published variant under its own name.

Owns formulas only: plain numbers in, plain numbers out. Stores nothing, decides nothing. Called by `gate` and by
reports.

A score matrix R has T + 1 rows and T columns, all in one unit (scale to [0, 1] before averaging over tasks):
R[t][i] is the score on task i (columns 0..T-1) after training stage t (rows 1..T), R[0] the row before any training.
Papers count tasks from 1; their R[i, i] is R[i + 1][i] here. The same names with different formulas are common, so
each variant is a function that says whose it is; `summary` reports all of them under distinct keys.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

__all__ = [
    "VARIANTS", "average_accuracy", "average_accuracy_curve", "bootstrap_interval", "bwt_gem", "bwt_gem_code",
    "bwt_trace", "forgetting", "fuar", "fwt_citb", "fwt_gem", "fwt_gem_code", "fwt_survey_as_printed",
    "learning_accuracy", "maa", "mean_delta", "summary",
]  # fmt: skip

Matrix = Sequence[Sequence[float]]

_BATCH_CELLS = 1_000_000


def average_accuracy(scores: Matrix) -> float:
    """ACC (GEM, Lopez-Paz 2017; OP in TRACE and CITB): mean of the last row."""
    tasks = _tasks(scores)
    return sum(scores[tasks]) / tasks


def average_accuracy_curve(scores: Matrix) -> list[float]:
    """OP_t (TRACE; "all seen" in CITB): after each stage, the mean over the tasks seen so far."""
    tasks = _tasks(scores)
    return [sum(scores[stage][:stage]) / stage for stage in range(1, tasks + 1)]


def maa(scores: Matrix) -> float:
    """Mean average accuracy (CoIN, Chen 2024): mean of `average_accuracy_curve`."""
    curve = average_accuracy_curve(scores)
    return sum(curve) / len(curve)


def learning_accuracy(scores: Matrix) -> float:
    """LA: mean score on each task right after it was learned; plasticity."""
    tasks = _tasks(scores)
    return sum(_diagonal(scores)) / tasks


def bwt_gem(scores: Matrix) -> float:
    """Backward transfer as the GEM paper defines it: mean of R[T] - R[i, i] over the first T - 1 tasks."""
    return _backward_sum(scores) / (_tasks(scores, 2) - 1)


def bwt_gem_code(scores: Matrix) -> float:
    """Backward transfer as GEM's published code computes it: the same sum, divided by T."""
    return _backward_sum(scores) / _tasks(scores)


def bwt_trace(scores: Matrix) -> float:
    """Backward transfer as TRACE (Wang 2023) defines it: mean over all T tasks, the last adding zero."""
    return _backward_sum(scores) / _tasks(scores)


def fwt_gem(scores: Matrix) -> float:
    """Forward transfer as the GEM paper defines it: mean of R[i - 1, i] - R[0, i] over tasks 2..T."""
    return _forward_sum(scores, scores[0]) / (_tasks(scores, 2) - 1)


def fwt_gem_code(scores: Matrix) -> float:
    """Forward transfer as GEM's published code computes it: the same sum, divided by T."""
    return _forward_sum(scores, scores[0]) / _tasks(scores)


def fwt_citb(scores: Matrix) -> float:
    """Forward transfer as CITB (Zhang 2023) computes it: mean of R[i - 1, i] over tasks 2..T, no baseline."""
    tasks = _tasks(scores, 2)
    return _forward_sum(scores, [0.0] * tasks) / (tasks - 1)


def fwt_survey_as_printed(scores: Matrix) -> float:
    """Forward transfer as equation 1 of the survey (Wu 2024) prints it: tasks 2..T-1 of the *last* row, over T - 1.

    It holds training on the task itself, so it is a final gain over the start rather than a transfer before training;
    offered for comparison with papers that follow the print.
    """
    tasks = _tasks(scores, 2)
    return sum(scores[tasks][i] - scores[0][i] for i in range(1, tasks - 1)) / (tasks - 1)


def forgetting(scores: Matrix) -> float:
    """Forgetting (Chaudhry 2018): mean over the first T - 1 tasks of the best score since learning minus the last."""
    tasks = _tasks(scores, 2)
    drops = (max(scores[t][i] for t in range(i + 1, tasks)) - scores[tasks][i] for i in range(tasks - 1))
    return sum(drops) / (tasks - 1)


VARIANTS: Final[Mapping[str, Callable[[Matrix], float]]] = {
    "acc": average_accuracy,
    "maa": maa,
    "learning_accuracy": learning_accuracy,
    "bwt_gem": bwt_gem,
    "bwt_gem_code": bwt_gem_code,
    "bwt_trace": bwt_trace,
    "fwt_gem": fwt_gem,
    "fwt_gem_code": fwt_gem_code,
    "fwt_citb": fwt_citb,
    "fwt_survey_as_printed": fwt_survey_as_printed,
    "forgetting": forgetting,
}


def summary(scores: Matrix) -> dict[str, float]:
    """Every variant of `VARIANTS` on a matrix of at least two tasks."""
    _tasks(scores, 2)
    return {name: variant(scores) for name, variant in VARIANTS.items()}


def mean_delta(after: Sequence[float], before: Sequence[float]) -> float:
    """Mean change over probe suites: GAD on general, IFD on instruction, SD on safety suites (TRACE).

    Negative is damage. TRACE's `before` is the initial model. The survey's equations 4-6 divide by the number of
    *tasks* though they sum over suites; this divides by the number of suites.

    Raises:
        ValueError: no suites, or another number of them before than after.
    """
    if not after or len(after) != len(before):
        raise ValueError(f"{len(after)} suites after and {len(before)} before: equal numbers above 0 are required")
    return sum(new - old for new, old in zip(after, before, strict=True)) / len(after)


def fuar(
    retained: Sequence[tuple[float, float] | None], updated: Sequence[float], acquired: Sequence[float]
) -> float | None:
    """Forgotten over updated and acquired ratio (CKL, Jang 2022): facts lost per fact gained; 0 is best.

    Args:
        retained: for every earlier corpus i < n, the score on its time-invariant facts of models i and n; None where
            corpus i defines none (such an i counts on neither side).
        updated: score of models 0..n on the facts that corpus n updates.
        acquired: score of models 0..n on the facts that corpus n adds.

    Returns:
        The ratio, or None where nothing was gained.
    """
    stages = len(retained)
    if stages == 0 or not len(updated) == len(acquired) == stages + 1:
        raise ValueError(f"{stages} earlier corpora need {stages + 1} scores each of updated and acquired facts; "
                         f"found {len(updated)} and {len(acquired)}")  # fmt: skip
    defined = [(i, pair) for i, pair in enumerate(retained) if pair is not None]
    lost = sum(max(0.0, early - late) for _, (early, late) in defined)
    gained = sum(max(0.0, facts[-1] - facts[i]) for i, _ in defined for facts in (updated, acquired))
    return lost / gained if gained > 0 else None


def bootstrap_interval(
    groups: Sequence[Sequence[float]], *, confidence: float, resamples: int, seed: str
) -> tuple[float, float]:
    """Paired bootstrap bounds of the mean over groups of each group's mean difference (percentile method).

    Args:
        groups: per suite, one difference an item; items are resampled within their suite.
        confidence: of *each* bound: the true mean is above the lower one, and below the upper one, with this
            probability each, so that 0.95 gives the 5th and the 95th percentile.
        resamples: number of bootstrap samples.
        seed: equal seeds and numbers give equal bounds.

    Returns:
        (low, high). All differences equal gives low = high: the items show no spread.
    """
    import numpy as np

    if not groups or not all(groups):
        raise ValueError("a bootstrap needs at least one group, and an item in each")
    generator = np.random.default_rng(zlib.crc32(seed.encode()))
    means = np.zeros(resamples)
    for group in groups:
        values, counts = np.unique(np.asarray(group, dtype=np.float64), return_counts=True)
        batch = max(1, _BATCH_CELLS // len(values))
        for start in range(0, resamples, batch):
            stop = min(start + batch, resamples)
            # How often each distinct value is drawn: the bootstrap's own distribution, without drawing items.
            drawn = generator.multinomial(len(group), counts / len(group), size=stop - start)
            means[start:stop] += drawn @ values / len(group) / len(groups)
    low, high = np.quantile(means, [1 - confidence, confidence])
    return float(low), float(high)


def _tasks(scores: Matrix, at_least: int = 1) -> int:
    """Number of tasks of a well-formed matrix."""
    tasks = len(scores) - 1
    if tasks < at_least or any(len(row) != tasks for row in scores):
        shape = f"{len(scores)} rows of {sorted({len(row) for row in scores})} columns"
        raise ValueError(f"a score matrix of T + 1 rows and T columns, T >= {at_least}, is required; found {shape}")
    return tasks


def _diagonal(scores: Matrix) -> list[float]:
    return [scores[i + 1][i] for i in range(_tasks(scores))]


def _backward_sum(scores: Matrix) -> float:
    return sum(last - learned for last, learned in zip(scores[-1], _diagonal(scores), strict=True))


def _forward_sum(scores: Matrix, baseline: Sequence[float]) -> float:
    return sum(scores[i][i] - baseline[i] for i in range(1, _tasks(scores)))
