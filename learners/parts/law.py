"""The mixture law: how the loss on new and on old data depends on the share of new data and on the tokens trained.

Owns the fit of L(D, r) = E + B r^eta / D^beta + C / (r + epsilon)^gamma, all seven positive, to measured losses, and
the choice of a share by it. Que et al. 2024, D-CPT Law (arXiv:2406.01375), for one model size: their term A / N^alpha
is constant then and lies in E. r is the share of the data that the loss is measured on, new or old.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["Law", "Point", "best_share", "best_share_of_limited", "fit"]

_HUBER = 1e-3
_BOUNDS = [(-12.0, 12.0)] * 2 + [(-6.0, 1.5)] * 2 + [(-12.0, 12.0)] * 2 + [(-6.0, 1.5)]
"""Of the logarithms of E, B, eta, beta, C, epsilon and gamma: exponents above 4.5 would overflow and fit nothing."""


@dataclass(frozen=True)
class Point:
    """One measurement: loss (nats) after `tokens` with `share` of the data that the loss is measured on."""

    tokens: float
    share: float
    loss: float


@dataclass(frozen=True)
class Law:
    """A fitted law.

    Attributes:
        logarithms: of E, B, eta, beta, C, epsilon, gamma.
        r_squared: of the points that it was fitted to.
    """

    logarithms: tuple[float, ...]
    r_squared: float

    def loss(self, tokens: float, share: float) -> float:
        """The predicted loss, in nats."""
        import numpy as np

        return float(_law(np.array(self.logarithms), np.array([tokens]), np.array([share]))[0])


def fit(points: Sequence[Point], *, restarts: int, seed: int) -> Law:
    """Fit the law by L-BFGS on the Huber loss of log losses, from many random starts; the best one wins.

    Args:
        points: at least eight, over several shares and token counts.
        restarts: random starts; the paper takes thirty or more.
    """
    import numpy as np
    from scipy.optimize import minimize

    tokens, shares, losses = (
        np.array([getattr(point, name) for point in points], dtype=np.float64) for name in ("tokens", "share", "loss")
    )

    def objective(logarithms: Numbers) -> float:
        error = np.abs(np.log(_law(logarithms, tokens, shares)) - np.log(losses))
        return float(np.where(error < _HUBER, error**2 / 2, _HUBER * (error - _HUBER / 2)).sum())

    draw = np.random.default_rng(seed)
    centre = np.log([losses.min() * 0.8, 1.0, 0.5, 0.3, 0.1, 0.1, 0.5])
    starts = [centre, *(centre + draw.normal(scale=1.5, size=centre.size) for _ in range(restarts - 1))]
    low, high = np.array(_BOUNDS).T
    found: list[Any] = [
        minimize(objective, np.clip(start, low, high), method="L-BFGS-B", bounds=_BOUNDS) for start in starts
    ]
    best = min(found, key=lambda result: result.fun).x
    left = ((_law(best, tokens, shares) - losses) ** 2).sum()
    spread = ((losses - losses.mean()) ** 2).sum()
    return Law(tuple(float(value) for value in best), 1.0 - float(left / spread) if spread > 0 else math.nan)


def _law(logarithms: Numbers, tokens: Numbers, shares: Numbers) -> Numbers:
    import numpy as np

    level, scale, eta, beta, weight, epsilon, gamma = np.exp(logarithms)
    return level + scale * shares**eta / tokens**beta + weight / (shares + epsilon) ** gamma


def best_share(old: Law, *, tokens: float, untouched: float, tolerated: float, shares: Sequence[float]) -> float:
    """The largest share of new data with which old data is kept: usage 1 of the paper.

    Args:
        old: the law of the loss on old data, in its share.
        tokens: of the run that is planned.
        untouched: loss on old data before it.
        tolerated: relative rise of that loss that is accepted, e.g. 0.03.
        shares: of new data, that are considered.

    Returns:
        The share; the smallest one where none keeps the old data that well.
    """
    kept = [share for share in shares if old.loss(tokens, 1 - share) <= (1 + tolerated) * untouched]
    return max(kept, default=min(shares))


def best_share_of_limited(new: Law, *, tokens: float, shares: Sequence[float]) -> float:
    """The share of new data, all of which is learned, with which it is learned best: usage 2 of the paper.

    Args:
        new: the law of the loss on new data, in its share.
        tokens: of new data that there are; the run goes through tokens / share.
        shares: of new data, that are considered.
    """
    return min(shares, key=lambda share: new.loss(tokens / share, share))
