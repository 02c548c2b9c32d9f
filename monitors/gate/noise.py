"""The A/A noise floor: how far two measurements of the same weights lie apart, suite by suite.

An engine that is bit-stable answers alike twice; one whose batches or kernels vary does not, and a difference that
noise alone makes says nothing of a candidate. The re-check after each promotion measures the same version twice under
the same settings: `noise_of` sums up what differed, the sum is stored with the re-check's verdict, and `pooled` adds
the sums of all cycles. Where nothing was measured twice yet, nothing is known and the floor is zero.

Decides nothing. Called by the steps `watching` (to store) and `judging` (to read).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from monitors.evidence import NotComparable, by_suite, pair
from monitors.job import Measurement

__all__ = ["Noise", "noise_of", "pooled", "spread"]


class Noise(BaseModel):
    """What two measurements of one version differed by on one suite.

    Attributes:
        items: items measured twice.
        changed: how many of them got another score.
        squares: sum over items of the squared difference of scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    digest: str
    engine: str
    items: int = Field(ge=1)
    changed: int = Field(ge=0)
    squares: float = Field(ge=0)


def noise_of(first: Sequence[Measurement], again: Sequence[Measurement]) -> list[Noise]:
    """Compare a version's measurements with later ones of a part of the same items; what does not pair is left out."""
    old, new = by_suite(first), by_suite(again)
    found: list[Noise] = []
    for suite in sorted(old.keys() & new.keys()):
        try:
            pairs = pair(old[suite], new[suite], subset=True)
        except NotComparable:
            continue
        differences = [late - early for early, late in zip(pairs.before, pairs.after, strict=True)]
        found.append(
            Noise(
                suite=suite,
                digest=new[suite][0].suite_digest,
                engine=new[suite][0].engine,
                items=len(differences),
                changed=sum(one != 0 for one in differences),
                squares=sum(one * one for one in differences),
            )
        )
    return found


def pooled(noises: Iterable[Noise]) -> dict[tuple[str, str], Noise]:
    """The sums by suite digest and engine, the two things under which scores compare."""
    found: dict[tuple[str, str], Noise] = {}
    for one in noises:
        known = found.get((one.digest, one.engine))
        if known is not None:
            sums = {name: getattr(known, name) + getattr(one, name) for name in ("items", "changed", "squares")}
            one = known.model_copy(update=sums)  # noqa: PLW2901
        found[one.digest, one.engine] = one
    return found


def spread(noises: Mapping[tuple[str, str], Noise], measured: Sequence[Measurement]) -> float:
    """Root mean square of the difference that an item of this suite shows when it is measured twice; 0 if unknown."""
    known = noises.get((measured[0].suite_digest, measured[0].engine)) if measured else None
    return math.sqrt(known.squares / known.items) if known else 0.0
