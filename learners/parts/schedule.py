"""The course of the learning rate over a run: steps of the run -> step (from 0) -> factor of the peak rate."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["infinite", "rewarm_redecay", "warm_hold_decay"]

_WARM_UP = 0.05
_HOLD_UNTIL = 0.6


def warm_hold_decay(steps: int) -> Callable[[int], float]:
    """A trapezoid: linear warm-up over the first twentieth of `steps`, the peak until 60 %, then linear decay.

    The runs here are short. Decay from the start (transformers' default) halves what thirty documents teach at the same
    peak, and no step has a rate of 0: a step that learns nothing would be a batch thrown away. Hu et al. 2024 (MiniCPM,
    arXiv:2404.06395) call it warm-up, stable, decay; theirs decays over the last tenth.

    Returns:
        step (from 0) -> factor of the peak learning rate, in (0, 1].
    """
    warm, hold = max(1, int(steps * _WARM_UP)), int(steps * _HOLD_UNTIL)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return min(1.0, max(0.0, (steps - step) / max(1, steps - hold)))

    return factor


def rewarm_redecay(steps: int, *, warm_share: float, floor: float) -> Callable[[int], float]:
    """Linear warm-up, then a cosine down to `floor` at the last step.

    Ibrahim et al. 2024 (arXiv:2403.08763), equation 1: eta_min + (eta_max - eta_min) / 2 * (1 + cos(pi u)).

    Args:
        steps: of the run.
        warm_share: of the run that warms up.
        floor: eta_min / eta_max.
    """
    warm = max(1, round(steps * warm_share))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = (step + 1 - warm) / max(1, steps - warm)
        return floor + (1.0 - floor) / 2 * (1.0 + math.cos(math.pi * min(1.0, done)))

    return factor


def infinite(
    steps: int, *, first: bool, warm_share: float, cool_share: float, anneal_share: float, constant: float, floor: float
) -> Callable[[int], float]:
    """The infinite schedule: warm-up and cosine cool-down to `constant` once in a lineage, then constant, then anneal.

    Ibrahim et al. 2024, section 7. The rate falls from `constant` to `floor` exponentially over the last steps, which
    publish a version; the next stage goes on from before them, at `constant`, without warming up.

    Args:
        steps: of the run.
        first: the lineage's first stage, which warms up and cools down.
        warm_share, cool_share, anneal_share: of the run; together at most 1.
        constant, floor: eta_const / eta_max and eta_min / eta_max.
    """
    warm = max(1, round(steps * warm_share)) if first else 0
    cool = warm + (round(steps * cool_share) if first else 0)
    hold = steps - round(steps * anneal_share)

    def factor(step: int) -> float:
        if step >= hold:
            return constant * (floor / constant) ** min(1.0, (step + 1 - hold) / max(1, steps - hold))
        if step < warm:
            return (step + 1) / warm
        if step < cool:
            done = (step + 1 - warm) / (cool - warm)
            return constant + (1.0 - constant) / 2 * (1.0 + math.cos(math.pi * done))
        return constant

    return factor
