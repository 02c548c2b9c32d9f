"""Evidence: two versions' measurements of one suite, paired item by item.

Owns the question whether two sets of measurements may be compared at all. What cannot be paired completely is not
paired: an item that only one side has could be the very one that broke. Called by `gate` and `chain`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from monitors.job import Measurement, Role

__all__ = ["Asked", "NotComparable", "Pairs", "by_suite", "pair"]

_NAMED = 5


class NotComparable(ValueError):
    """The measurements give no ground for a comparison; the message says why, for people."""


class Asked(BaseModel):
    """What a suite was asked in a judgement: facts of the suite that its measurements alone do not tell.

    Attributes:
        probes: ids of the items asked so far; empty where workers alone know them (a task of lm-evaluation-harness),
            and then all that was measured counts.
        reserve: items that further looks may still measure.
        looks: how many looks the suite can have in all.
        chance: mean score of guessing, over `probes`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    digest: str
    role: Role
    probes: tuple[str, ...] = ()
    reserve: int = Field(default=0, ge=0)
    looks: int = Field(default=1, ge=1)
    chance: float = Field(default=0.0, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores of the same items on two versions, in the order of `probes`.

    Attributes:
        before, after: scores in [0, 1].
        margins_before, margins_after: in nats, or None unless every item has one on both sides.
    """

    suite: str
    role: Role
    probes: tuple[str, ...]
    slices: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    margins_before: tuple[float, ...] | None
    margins_after: tuple[float, ...] | None

    @property
    def differences(self) -> list[float]:
        """`after` minus `before`, item by item."""
        return [new - old for new, old in zip(self.after, self.before, strict=True)]

    def with_scores(self, before: tuple[float, ...], after: tuple[float, ...]) -> Pairs:
        """The same items with other numbers as their scores."""
        return replace(self, before=before, after=after)


def by_suite(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    """The measurements of each suite."""
    suites: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        suites.setdefault(measurement.suite, []).append(measurement)
    return suites


def pair(
    before: Sequence[Measurement],
    after: Sequence[Measurement],
    *,
    at_least: int = 1,
    subset: bool = False,
    asked: Asked | None = None,
) -> Pairs:
    """Pair one suite's measurements of two versions.

    Args:
        at_least: fewest items a comparison may rest on.
        subset: whether `after` may lack items of `before` (a re-check measures a part).
        asked: what the suite was asked; other items are passed over, and every one of these must be there.

    Raises:
        NotComparable: a side is missing, was measured with another suite file or engine setting, lacks items, has an
            item twice or a score outside [0, 1], or there are too few items.
    """
    if asked is not None:
        before, after = _only(before, asked), _only(after, asked)
    old, new = _items(before, "before"), _items(after, "after")
    _require_same_items(old, new, subset, asked)
    if len(new) < at_least:
        raise NotComparable(f"it has {len(new)} items; at least {at_least} are needed")
    probes = tuple(sorted(new))
    first = new[probes[0]]
    margins_before, margins_after = _margins([(old[probe].margin, new[probe].margin) for probe in probes])
    return Pairs(
        suite=first.suite,
        role=first.role,
        probes=probes,
        slices=tuple(new[probe].slice for probe in probes),
        before=tuple(old[probe].score for probe in probes),
        after=tuple(new[probe].score for probe in probes),
        margins_before=margins_before,
        margins_after=margins_after,
    )


def _only(measurements: Sequence[Measurement], asked: Asked) -> list[Measurement]:
    if changed := {one.suite_digest for one in measurements} - {asked.digest}:
        raise NotComparable(f"the suite changed: asked was {asked.digest!r}, measured {_named(changed)}")
    wanted = set(asked.probes)
    return [one for one in measurements if one.probe in wanted or not wanted]


def _items(measurements: Sequence[Measurement], side: str) -> Mapping[str, Measurement]:
    if not measurements:
        raise NotComparable(f"not measured {side}")
    if len(versions := {one.version for one in measurements}) > 1:
        raise NotComparable(f"measurements of several versions stand {side}: {_named(versions)}")
    items = {one.probe: one for one in measurements}
    if len(items) < len(measurements):
        raise NotComparable(f"items stand more than once {side}")
    # Written so that NaN, which compares false with everything, counts as bad.
    if bad := [probe for probe, one in items.items() if not 0.0 <= one.score <= 1.0]:
        raise NotComparable(f"scores {side} are not in [0, 1]: {_named(bad)}")
    return items


def _require_same_items(
    old: Mapping[str, Measurement], new: Mapping[str, Measurement], subset: bool, asked: Asked | None
) -> None:
    """Refuse sides that were not measured alike, on the same items."""
    for field in ("suite_digest", "role", "engine"):
        _require_one({getattr(one, field) for one in (*old.values(), *new.values())}, field)
    if alone := sorted(old.keys() ^ new.keys() if not subset else new.keys() - old.keys()):
        raise NotComparable(f"measured on one side only: {_named(alone)}")
    if asked is not None and (late := set(asked.probes) - new.keys()):
        raise NotComparable(
            f"{len(late)} of {len(asked.probes)} items were not measured when it was judged: {_named(late)}"
        )


def _margins(
    pairs: Sequence[tuple[float | None, float | None]],
) -> tuple[tuple[float, ...], tuple[float, ...]] | tuple[None, None]:
    """The margins of both sides, of every item or of none: a mean over some would be another comparison."""
    known = [(a, b) for a, b in pairs if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)]
    if len(known) < len(pairs):
        return None, None
    return tuple(a for a, _ in known), tuple(b for _, b in known)


def _require_one(values: set[str], field: str) -> None:
    if len(values) > 1:
        raise NotComparable(f"the two sides differ in {field.replace('_', ' ')}: {_named(values)}")


def _named(values: Iterable[str]) -> str:
    names = sorted(values)
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(repr(name) for name in names[:_NAMED]) + rest
