"""The course of the learning rate over a run."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["warm_hold_decay"]

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
