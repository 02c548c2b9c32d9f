"""Bounds of a mean difference by the paired bootstrap. Owns the resampling; what is compared is the caller's."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

__all__ = ["bootstrap_interval"]

_BATCH_CELLS: Final = 1_000_000


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
