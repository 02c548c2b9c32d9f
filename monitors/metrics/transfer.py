"""Transfer between tasks, forward and backward: one function for each published formula.

Owns formulas only. R[t, i], b_i = R[0, i] and T: see `score_matrix`. Papers and their own code disagree under one
name, so no function here is called just `fwt` or `bwt`; the headline is the GEM paper's.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitors.metrics.accuracy import learning_accuracy
from monitors.metrics.score_matrix import ScoreMatrix

__all__ = ["bwt_gem", "bwt_gem_code", "fwt_citb", "fwt_gem", "fwt_gem_code", "fwt_sapt", "fwt_survey_as_printed"]


def bwt_gem(r: ScoreMatrix) -> float:
    """BWT = 1/(T-1) sum_{i=1..T-1} (R[T, i] - R[i, i]): what later updates did to a task; negative is forgetting.

    The GEM paper (Lopez-Paz and Ranzato 2017, 1706.08840), the survey's equation 2, and CITB's `compute_BWT`.
    """
    return _change_since_learned(r) / (r.several() - 1)


def bwt_gem_code(r: ScoreMatrix) -> float:
    """BWT = 1/T sum_{i=1..T} (R[T, i] - R[i, i]), where the last term is zero: (T-1)/T of `bwt_gem`.

    GEM's own `metrics.py` takes the mean over all T tasks, against its paper. TRACE defines it so (Wang 2023,
    2310.06762, at any t: `bwt_gem_code(r.until(t))`), and SAPT's `score.py` computes it so (Zhao 2024, 2401.08295).
    """
    return _change_since_learned(r) / r.tasks


def fwt_gem(r: ScoreMatrix) -> float:
    """FWT = 1/(T-1) sum_{i=2..T} (R[i-1, i] - b_i): what earlier updates did to a task before it was learned.

    The GEM paper (Lopez-Paz and Ranzato 2017, 1706.08840).
    """
    return _readiness_gain(r) / (r.several() - 1)


def fwt_gem_code(r: ScoreMatrix) -> float:
    """FWT = 1/T sum_{i=2..T} (R[i-1, i] - b_i): (T-1)/T of `fwt_gem`.

    GEM's `metrics.py` takes the mean of a vector of length T whose first entry is zero.
    """
    return _readiness_gain(r) / r.tasks


def fwt_citb(r: ScoreMatrix) -> float:
    """FWT = 1/(T-1) sum_{i=2..T} R[i-1, i]: the zero-shot score on the next task, with no baseline taken off.

    CITB's `compute_FWT` (Zhang 2023, 2310.14510). Being a score rather than a change, it is never negative.
    """
    return sum(r[i - 1, i] for i in range(2, r.tasks + 1)) / (r.several() - 1)


def fwt_survey_as_printed(r: ScoreMatrix) -> float:
    """FWT = 1/(T-1) sum_{i=2..T-1} (R[T, i] - b_i), as equation 1 of the survey prints it (Wu 2024, 2402.01364).

    Three things differ from GEM, to which it refers: it reads the *last* row, so it measures the final gain over the
    start, training on the task included, although its own sentence says "prior to any dedicated training"; it leaves
    out the last task; and it divides T - 2 terms by T - 1. Here for comparison with papers that follow the print. Of
    two tasks it has no term.
    """
    return sum(r[r.tasks, i] - r[0, i] for i in range(2, r.tasks)) / (r.several(3) - 1)


def fwt_sapt(r: ScoreMatrix, alone: Sequence[float]) -> float:
    """FWT = 1/T sum_{i=1..T} (R[i, i] - alone_i): what coming after other tasks did to learning a task.

    SAPT's second meaning of the name (Zhao 2024, 2401.08295): each task is compared with a model that learned it
    alone. Its `score.py` subtracts one typed-in mean for all tasks where this subtracts each task's own score.

    Args:
        alone: score on tasks 1..T of a model trained from the start on that task only.

    Raises:
        ValueError: not one score for each task.
    """
    if len(alone) != r.tasks:
        raise ValueError(f"{len(alone)} single-task scores for {r.tasks} tasks: one for each is required")
    return learning_accuracy(r) - sum(alone) / r.tasks


def _change_since_learned(r: ScoreMatrix) -> float:
    return sum(r[r.tasks, i] - r[i, i] for i in range(1, r.tasks))


def _readiness_gain(r: ScoreMatrix) -> float:
    return sum(r[i - 1, i] - r[0, i] for i in range(2, r.tasks + 1))
