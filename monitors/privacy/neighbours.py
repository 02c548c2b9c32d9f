"""Neighbours: the records that say most nearly what some others say, and that must be kept when those are forgotten.

Nearness is by shared words, a rare one counting more (the sum of inverse document frequencies over the shared words,
by the root of both sums: a cosine). No model is needed, so a daemon can ask for it in its turn. Called by
`agent.forgetting`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from learners.records import Record
from monitors.privacy.lookalikes import words

__all__ = ["nearest"]


def nearest(records: Sequence[Record], others: Sequence[Record], most: int) -> list[tuple[Record, float]]:
    """At most `most` of `others` with their nearness in [0, 1] to the nearest of `records`, nearest first.

    Equals stay in the order given.
    """
    own, theirs = [words(record) for record in records], [words(record) for record in others]
    documents = Counter(word for said in (*own, *theirs) for word in said)
    total = len(own) + len(theirs)
    weight = {word: math.log(1 + total / count) for word, count in documents.items()}
    scores = [max((_cosine(said, one, weight) for one in own), default=0.0) for said in theirs]
    order = sorted(range(len(others)), key=lambda place: -scores[place])
    return [(others[place], scores[place]) for place in order[:most]]


def _cosine(first: set[str], second: set[str], weight: dict[str, float]) -> float:
    shared, one, two = (sum(weight[word] ** 2 for word in said) for said in (first & second, first, second))
    return shared / math.sqrt(one * two) if one and two else 0.0
