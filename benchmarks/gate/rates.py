"""Rates with their intervals. Owns the arithmetic alone."""

from __future__ import annotations

import math
from statistics import NormalDist

from pydantic import BaseModel, ConfigDict

__all__ = ["Rate", "rate"]


class Rate(BaseModel):
    """How often something happened: `count` of `n` times, and Wilson's 95 % interval of the rate.

    Attributes:
        rate: None where there was no case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float | None
    low: float
    high: float
    count: int
    n: int


def rate(count: int, n: int, confidence: float = 0.95) -> Rate:
    """Wilson's score interval (1927), two-sided; with no case it is [0, 1]: nothing is known."""
    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n}: a count lies between 0 and the number of cases")
    if n == 0:
        return Rate(rate=None, low=0.0, high=1.0, count=0, n=0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = count / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / n / 4) / (1 + spread)
    return Rate(rate=share, low=max(0.0, middle - half), high=min(1.0, middle + half), count=count, n=n)
