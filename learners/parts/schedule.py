"""The course of the learning rate over a run."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["warm_linear"]

_WARM_UP = 0.1


def warm_linear(steps: int) -> Callable[[int], float]:
    """Linear warm-up over the first tenth of `steps`, then linear decay towards 0.

    Unlike transformers' schedule of that name no step has a rate of 0: the runs here are short, and a step that learns
    nothing would be a batch thrown away.

    Returns:
        step (from 0) -> factor of the peak learning rate, in (0, 1].
    """
    warm = max(1, int(steps * _WARM_UP))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return max(0.0, 1.0 - (step - warm) / max(1, steps - warm))

    return factor
