"""How good the model is over its tasks: average accuracy, its curve, learning accuracy and plasticity.

Owns formulas only. R[t, i], T: see `score_matrix`.
"""

from __future__ import annotations

from monitors.metrics.score_matrix import ScoreMatrix

__all__ = ["average_accuracy", "average_accuracy_curve", "learning_accuracy", "mean_average_accuracy", "plasticity"]


def average_accuracy(r: ScoreMatrix) -> float:
    """ACC = 1/T sum_{i=1..T} R[T, i]: how good the last model is on everything it learned.

    GEM (Lopez-Paz and Ranzato 2017, 1706.08840), the survey's equation 3, CITB's A_T (Zhang 2023, 2310.14510), and
    TRACE's OP (Wang 2023, 2310.06762) after the last task.
    """
    return sum(r[r.tasks, i] for i in range(1, r.tasks + 1)) / r.tasks


def average_accuracy_curve(r: ScoreMatrix) -> list[float]:
    """OP_t = 1/t sum_{i=1..t} R[t, i] for t = 1..T: TRACE's overall performance; CITB's "all seen" tasks."""
    return [sum(r[t, i] for i in range(1, t + 1)) / t for t in range(1, r.tasks + 1)]


def mean_average_accuracy(r: ScoreMatrix) -> float:
    """MAA = 1/T sum_{t=1..T} OP_t: the mean of `average_accuracy_curve` (CoIN, Chen 2024, 2403.08350)."""
    curve = average_accuracy_curve(r)
    return sum(curve) / len(curve)


def learning_accuracy(r: ScoreMatrix) -> float:
    """LA = 1/T sum_{i=1..T} R[i, i]: the score on each task just after it was learned (Riemer 2019, 1810.11910).

    Many papers call this number plasticity. It credits an update with what the model knew before; see `plasticity`.
    """
    return sum(r[i, i] for i in range(1, r.tasks + 1)) / r.tasks


def plasticity(r: ScoreMatrix) -> float:
    """1/T sum_{i=1..T} (R[i, i] - R[i-1, i]): what an update adds to its own task. Our definition.

    It is `learning_accuracy` less what was known just before; 0 is a model that no longer learns.
    """
    return sum(r[i, i] - r[i - 1, i] for i in range(1, r.tasks + 1)) / r.tasks
