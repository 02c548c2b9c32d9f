"""Looks: which items of a suite are measured first, and how many more while a comparison is unclear.

The first look takes `first_items` of a suite, every further one twice as many, the last one all of them or
`most_items`. How many looks a suite can have follows from its size and the policy alone, before anything is measured;
each look's bounds are computed at confidence 1 - (1 - confidence) / looks. By the union bound (Bonferroni) the risk of
a wrong bound at *any* look then stays below 1 - confidence, although the gate stops at the first look that is clear.
With at most four looks that costs little more than spending by Pocock's boundary (3 looks: 2.13 standard errors
instead of 1.99) and needs no table. A suite that is measured whole at the first look has one look and pays nothing.

Owns sizes and order of items. Measures nothing. Called by the measuring steps; the gate reads `Asked`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from monitors.evidence import Asked
from monitors.gate.policy import GatePolicy
from monitors.probes.probe import Entry
from monitors.probes.suites import Suite

__all__ = ["asked", "chosen", "sizes"]

_WORTH_A_LOOK: Final = 1.5
"""A look is worth its share of the risk only if it leaves this many times its items for later."""


def asked(suite: Suite, policy: GatePolicy, look: int = 1) -> Asked:
    """What `suite` is asked at a look, numbered from 1; after its last look that of the last one.

    A task of lm-evaluation-harness whose items no worker has listed is asked whole.
    """
    entries = suite.entries
    counts = sizes(len(entries), policy.first_items, policy.most_items)
    found = chosen(suite, counts[min(look, len(counts)) - 1])
    return Asked(
        suite=suite.suite,
        digest=suite.digest,
        role=suite.role,
        probes=tuple(entry.id for entry in found),
        reserve=counts[-1] - len(found),
        looks=len(counts),
        chance=sum(entry.chance for entry in found) / max(1, len(found)),
    )


def sizes(items: int, first: int, most: int) -> tuple[int, ...]:
    """Items at each look, rising: `first`, doubled until the smaller of `items` and `most` is reached."""
    last, now, found = min(items, max(first, most)), first, list[int]()
    while now * _WORTH_A_LOOK < last:
        found.append(now)
        now *= 2
    return (*found, last)


def chosen(suite: Suite, count: int) -> Sequence[Entry]:
    """The first `count` items in an order that is random within a slice, and even over the slices at every length.

    The order depends on names alone, so more items always contain the fewer ones, on every machine.
    """
    entries = suite.entries
    if count >= len(entries):
        return entries
    slices: dict[str, list[Entry]] = {}
    for entry in entries:
        slices.setdefault(entry.slice, []).append(entry)
    places: list[tuple[float, str, Entry]] = []
    for members in slices.values():
        ranked = sorted(members, key=lambda entry: _shuffled(suite.suite, entry.id))
        places += [((rank + 0.5) / len(ranked), entry.id, entry) for rank, entry in enumerate(ranked)]
    return [entry for _, _, entry in sorted(places, key=lambda place: place[:2])[:count]]


def _shuffled(suite: str, probe: str) -> str:
    return hashlib.sha256(f"{suite}/{probe}".encode()).hexdigest()
