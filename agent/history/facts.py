"""What an update did to facts of documents that came again: lost, updated, acquired, and how many lost for each gained.

Owns which stored measurements each number rests on: probes of role target in the slices `unchanged`, `updated` and
`new`, which `monitors.gaps.changes` gives them. The ratio is `monitors.metrics.fuar`'s. Reads nothing itself. Called by
`agent.history.diff`.

Source: Jang et al. 2022, Towards Continual Knowledge Learning (arXiv:2110.03215): facts that time did not change, that
it changed, and that are new; theirs come from a knowledge base and ours from the documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from monitors.job import Measurement
from monitors.metrics import fuar

__all__ = ["SLICES", "FactScores", "FactsChange", "change_of_facts"]

SLICES: Final = ("unchanged", "updated", "new")
"""The slices of probes of which it is known what their document's new version did to the fact."""


@dataclass(frozen=True)
class FactScores:
    """Mean scores of the `items` probes of one slice that both versions were asked."""

    items: int
    before: float
    after: float


@dataclass(frozen=True)
class FactsChange:
    """What became of facts from one version to another; a slice without a probe is None.

    Attributes:
        unchanged: facts that stayed, which should be known still.
        updated: facts whose answer is another one now.
        new: facts that no earlier text stated.
        fuar: forgotten / (updated + acquired), facts lost for each gained; 0 is best. None where no fact stayed, or
            nothing was gained.
    """

    unchanged: FactScores | None
    updated: FactScores | None
    new: FactScores | None
    fuar: float | None


def change_of_facts(pairs: Iterable[tuple[Measurement, Measurement]]) -> FactsChange | None:
    """What an update did to facts; None where no probe says what became of its fact.

    Args:
        pairs: of each probe, the measurements of the older and of the newer version.
    """
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in SLICES}
    for old, new in pairs:
        if new.role == "target" and new.slice in scores:
            scores[new.slice].append((old.score, new.score))
    if not any(scores.values()):
        return None
    unchanged, updated, new = (_mean(scores[name]) for name in SLICES)
    kept = (unchanged.before, unchanged.after) if unchanged else None
    gained = [[side.before, side.after] if side else [0.0, 0.0] for side in (updated, new)]
    return FactsChange(unchanged, updated, new, fuar([kept], *gained))


def _mean(scores: list[tuple[float, float]]) -> FactScores | None:
    if not scores:
        return None
    before, after = (sum(side) / len(scores) for side in zip(*scores, strict=True))
    return FactScores(len(scores), before, after)
