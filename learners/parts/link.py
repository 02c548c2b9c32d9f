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
        Indices of `records`, each once: one list per walk, a record without links alone. What is linked twice follows
        twice as often.
    """
    marks = [sorted(_marks(record, fields, identifier)) for record in records]
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, own in enumerate(marks):
        for mark in own:
            groups[mark].append(index)
    unseen = {mark: _Bag(members) for mark, members in groups.items()}
    draw = random.Random(f"{seed}:walks")  # noqa: S311 - sampling, not secrecy
    left = dict.fromkeys(range(len(records)))
    found: list[list[int]] = []
    while left:
        walk, here = [], next(iter(left))
        while True:
            del left[here]
            walk.append(here)
            own = [unseen[mark] for mark in marks[here]]
            for bag in own:
                bag.take_out(here)
            if not any(map(len, own)):
                break
            (bag,) = draw.choices(own, list(map(len, own)))
            here = bag.one(draw)
        found.append(walk)
    return found


class _Bag:
    """Numbers; taking one out and drawing one cost the same however many there are, as a category may hold them all."""

    def __init__(self, members: Sequence[int]) -> None:
        self._members = list(members)
        self._places = {member: place for place, member in enumerate(self._members)}

    def __len__(self) -> int:
        return len(self._members)

    def take_out(self, member: int) -> None:
        """Take out a number that is in it."""
        place, last = self._places.pop(member), self._members.pop()
        if last != member:
            self._members[place], self._places[last] = last, place

    def one(self, draw: random.Random) -> int:
        """One of the numbers, which stays in it."""
        return draw.choice(self._members)


def _marks(record: Record, fields: Sequence[str], identifier: str) -> set[tuple[str, str]]:
    """What a record can be linked by."""
    content = record.content
    marks = {(name, str(content[name]).strip().lower()) for name in fields if content.get(name)}
    if identifier:
        marks |= {("", found.group().lower()) for found in re.finditer(identifier, str(content.get("text", "")))}
    return marks
