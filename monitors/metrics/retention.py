"""Forgetting: how far the last model fell below the best that there was; one function for each published formula.

Owns formulas only. R[t, i], T: see `score_matrix`. Unlike backward transfer, forgetting is positive where something
was lost, and it sees a task that got better for a while and then worse. Recovery says how much of a loss was only
hidden: what comes back after a few steps of training was not gone.
"""

from __future__ import annotations

from collections.abc import Callable

from monitors.metrics.score_matrix import ScoreMatrix

__all__ = ["forgetting_chaudhry", "forgetting_mammoth", "forgetting_since_learned", "recovery"]


def forgetting_since_learned(r: ScoreMatrix) -> float:
    """F = 1/(T-1) sum_{i=1..T-1} (max_{t=i..T-1} R[t, i] - R[T, i]): from the best since the task was learned.

    The reading in most use, for example in SAPT's `score.py` (Zhao 2024, 2401.08295). Negative where the last update
    made old tasks better than they ever were.
    """
    return _fall(r, lambda i: range(i, r.tasks))


def forgetting_chaudhry(r: ScoreMatrix) -> float:
    """F = 1/(T-1) sum_{i=1..T-1} (max_{t=1..T-1} R[t, i] - R[T, i]): from the best of *all* earlier updates.

    As the definition is written (Chaudhry 2018, 1801.10112, equation 3): updates before task i was learned count too.
    It differs from `forgetting_since_learned` where learning a task made it worse.
    """
    return _fall(r, lambda _: range(1, r.tasks))


def forgetting_mammoth(r: ScoreMatrix) -> float:
    """F = 1/(T-1) sum_{i=1..T-1} (max_{t=1..T} R[t, i] - R[T, i]): the last update counts too, so it is never negative.

    As Mammoth's `utils/metrics.py` computes it (Buzzega 2020, 2004.07211): a gain on one task hides no loss on another.
    """
    return _fall(r, lambda _: range(1, r.tasks + 1))


def recovery(before: float, forgotten: float, relearned: float) -> float | None:
    """Recovery@k = (relearned - forgotten) / (before - forgotten): the part of a loss that k tuning steps bring back.

    Cossu 2022 (2205.09357) judges forgetting by a model that was tuned lightly on the task again, for a low score may
    only mean that the way to what is known was lost; the ratio is ours. With losses instead of scores it is the same.

    Args:
        before: score on a task when it was known.
        forgotten: score after later updates.
        relearned: score after k more steps on few examples of the task; say k beside the number.

    Returns:
        1 where all came back, below 0 where tuning made it worse; None where nothing was lost (equal scores).
    """
    return (relearned - forgotten) / (before - forgotten) if before != forgotten else None


def _fall(r: ScoreMatrix, since: Callable[[int], range]) -> float:
    falls = (max(r[t, i] for t in since(i)) - r[r.tasks, i] for i in range(1, r.several()))
    return sum(falls) / (r.tasks - 1)
