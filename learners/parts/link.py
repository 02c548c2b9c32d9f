"""Records that speak of one thing, brought into one text.

Owns the links between records (equal values of chosen content fields, or the same identifier in their texts) and the
random walks over them. Ma et al. 2023, EcomGPT-CT (arXiv:2312.15696): semi-structured records are nodes, belonging
together is an edge, and a walk over linked nodes is one training sequence.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from learners.records import Record

__all__ = ["walks"]


def walks(records: Sequence[Record], *, fields: Sequence[str], identifier: str, seed: int) -> list[list[int]]:
    """Order records so that linked ones follow each other.

    Args:
        fields: content fields whose equal values link two records.
        identifier: regular expression; texts with a common match are linked. Empty: none are.
        seed: of the walks.

    Returns:
        Indices of `records`, each once: one list per walk, a record without links alone.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        for mark in _marks(record, fields, identifier):
            groups[mark].append(index)
    neighbours: dict[int, set[int]] = defaultdict(set)
    for members in groups.values():
        for index in members:
            neighbours[index].update(members)
    draw = random.Random(f"{seed}:walks")  # noqa: S311 - sampling, not secrecy
    left = dict.fromkeys(range(len(records)))
    found: list[list[int]] = []
    while left:
        walk, here = [], next(iter(left))
        while True:
            del left[here]
            walk.append(here)
            onward = sorted(index for index in neighbours[here] if index in left)
            if not onward:
                break
            here = draw.choice(onward)
        found.append(walk)
    return found


def _marks(record: Record, fields: Sequence[str], identifier: str) -> set[tuple[str, str]]:
    """What a record can be linked by."""
    content = record.content
    marks = {(name, str(content[name]).strip().lower()) for name in fields if content.get(name)}
    if identifier:
        marks |= {("", found.group().lower()) for found in re.finditer(identifier, str(content.get("text", "")))}
    return marks
