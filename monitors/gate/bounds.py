"""Bounds of a paired difference, and the exact test of whether there is one at all.

Owns the choice between two methods, by one rule: scores that are all 0 or 1 are counted, everything else is resampled.

- *Binary scores of one suite.* With n items, of which b were won and c lost, the bounds are the margins d at which
  McNemar's test no longer refuses "the true difference is d" (Tango, Statistics in Medicine 17, 1998: the score test
  for a paired difference, which at d = 0 is McNemar's statistic). Unlike a bootstrap they know that few items prove
  little: with no item changed they are +-z^2 / (n + z^2), not zero. The p-value beside them is McNemar's exact one.
  Of the mean over several suites the bounds are put together from each suite's own by the method of variance estimates
  recovery (Zou, Huang and Zhang, Computational Statistics and Data Analysis 53, 2009): a bootstrap within suites of one
  item each, or of items that all changed alike, has no spread at all.
- *Graded scores.* Percentile bounds of the paired bootstrap (`monitors.metrics`).

Both are one-sided at `confidence` each. Decides nothing. Called by `comparison`, `deltas` and `judging`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from monitors.metrics import bootstrap_interval

__all__ = ["TWO_SIDED_95", "Interval", "Test", "exact_mcnemar", "is_binary", "no_closer", "score_bounds"]

Test = Literal["mcnemar", "bootstrap"]

_HALVINGS: Final = 50


class Interval(BaseModel):
    """How bounds are computed: confidence of each bound (one-sided), and bootstrap samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float
    resamples: int

    def of(self, groups: Sequence[Sequence[float]], seed: str, *, binary: bool) -> tuple[float, float]:
        """Bounds of the mean over groups of each group's mean difference.

        Args:
            groups: per suite, one difference an item.
            seed: equal seeds and numbers give equal bounds.
            binary: whether all scores are 0 or 1 (`is_binary`).
        """
        if binary:
            return _recovered([(*_changed(group), len(group)) for group in groups], self.confidence)
        return bootstrap_interval(groups, confidence=self.confidence, resamples=self.resamples, seed=seed)

    @property
    def quantile(self) -> float:
        """The normal quantile of `confidence`."""
        return NormalDist().inv_cdf(self.confidence)


TWO_SIDED_95: Final = Interval(confidence=0.975, resamples=2000)
"""The 95 % interval that people read; the gate's own bounds are configured."""


def no_closer(bounds: tuple[float, float], estimate: float, floors: Sequence[float]) -> tuple[float, float]:
    """The bounds, moved out to where A/A noise alone puts those of a mean over suites.

    Args:
        bounds: (low, high) of `estimate`.
        floors: per suite, the half-width that noise alone gives its difference.
    """
    floor = math.hypot(*floors) / len(floors)
    return min(bounds[0], estimate - floor), max(bounds[1], estimate + floor)


def is_binary(*sides: Sequence[float]) -> bool:
    """Whether every score is 0 or 1."""
    return all(score in (0.0, 1.0) for side in sides for score in side)


def exact_mcnemar(differences: Sequence[float]) -> float:
    """McNemar's exact test, one-sided: how likely at least so many losses are if winning and losing are equally likely.

    Args:
        differences: one an item, of binary scores: 1 won, -1 lost, 0 unchanged.

    Returns:
        P(X >= lost) for X ~ Binomial(won + lost, 1/2); 1.0 where nothing changed.
    """
    won, lost = _changed(differences)
    changed = won + lost
    return sum(math.comb(changed, count) for count in range(lost, changed + 1)) / 2**changed


@lru_cache(maxsize=4096)
def score_bounds(won: int, lost: int, items: int, confidence: float) -> tuple[float, float]:
    """Tango's score bounds of (won - lost) / items.

    Args:
        won, lost: items that turned from 0 to 1, and from 1 to 0.
        confidence: of each bound.

    Returns:
        (low, high), each in [-1, 1].
    """
    quantile = NormalDist().inv_cdf(confidence)
    estimate = (won - lost) / items
    low = _root(lambda d: _statistic(won, lost, items, d) - quantile, -1.0, estimate)
    high = _root(lambda d: _statistic(won, lost, items, d) + quantile, estimate, 1.0)
    return low, high


def _recovered(suites: Sequence[tuple[int, int, int]], confidence: float) -> tuple[float, float]:
    """Bounds of the mean over suites of (won - lost) / items, from (won, lost, items) of each.

    The estimate less the root of the summed squares of what each suite's lower bound lies below its own estimate, over
    the number of suites; and so above. Of one suite these are its score bounds.
    """
    means = [(won - lost) / items for won, lost, items in suites]
    bounds = [score_bounds(won, lost, items, confidence) for won, lost, items in suites]
    below = math.hypot(*(mean - low for mean, (low, _) in zip(means, bounds, strict=True)))
    above = math.hypot(*(high - mean for mean, (_, high) in zip(means, bounds, strict=True)))
    estimate = sum(means) / len(means)
    return estimate - below / len(means), estimate + above / len(means)


def _statistic(won: int, lost: int, items: int, difference: float) -> float:
    """The score statistic of `difference`; it falls as `difference` rises, and is 0 at the estimate.

    The nuisance parameter, the probability of a loss, is at its maximum-likelihood value given `difference`.
    """
    linear = -won - lost + (2 * items - won + lost) * difference
    constant = -lost * difference * (1 - difference)
    loss = (math.sqrt(max(0.0, linear * linear - 8 * items * constant)) - linear) / (4 * items)
    variance = items * (2 * loss + difference * (1 - difference))
    distance = won - lost - items * difference
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance) if distance else 0.0


def _root(falling: Callable[[float], float], left: float, right: float) -> float:
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        left, right = (middle, right) if falling(middle) > 0 else (left, middle)
    return (left + right) / 2


def _changed(differences: Sequence[float]) -> tuple[int, int]:
    return sum(one > 0 for one in differences), sum(one < 0 for one in differences)
