"""What an update did to suites that it did not train on: GAD, IFD, SD, the over-refusal delta, and slice by slice.

Owns formulas only. Scores are in one unit, higher is better; `before` is the reference: the initial model in TRACE,
parent or anchor in the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["SliceDelta", "delta_per_slice", "delta_survey_as_printed", "mean_delta", "overrefusal_delta"]


@dataclass(frozen=True, slots=True)
class SliceDelta:
    """Mean scores of one slice of a suite, over its `items`; `delta` is the mean change, negative is damage."""

    slice: str
    items: int
    before: float
    after: float
    delta: float


def mean_delta(after: Sequence[float], before: Sequence[float]) -> float:
    """1/M sum_{i=1..M} (R_t,i - R_0,i) over M probe suites: GAD on general, IFD on instruction, SD on safety suites.

    TRACE (Wang 2023, 2310.06762): its published -2.58 for LLaMA-2-7B-chat is the mean over the six general suites, not
    over the eight tasks trained on. Negative is damage.

    Raises:
        ValueError: no suites, or another number of them before than after.
    """
    return _sum_of_changes(after, before) / len(after)


def delta_survey_as_printed(after: Sequence[float], before: Sequence[float], tasks: int) -> float:
    """1/T sum (R_t,i - R_0,i), as equations 4 to 6 of the survey print GAD, IFD and SD (Wu 2024, 2402.01364).

    They divide by T, the length of the training stream, though the sum runs over probe suites: with TRACE's six suites
    and eight tasks -2.58 becomes -1.93.

    Args:
        tasks: T, the number of tasks trained on.

    Raises:
        ValueError: as `mean_delta`, or no tasks.
    """
    if tasks < 1:
        raise ValueError(f"{tasks} tasks trained on: at least 1 is required")
    return _sum_of_changes(after, before) / tasks


def overrefusal_delta(answered_after: Sequence[float], answered_before: Sequence[float]) -> float:
    """Mean change of the rate of *refused* harmless prompts over over-refusal suites; positive is damage. Ours.

    TRACE has no such number: without it a model that refuses everything has a perfect safety delta.

    Args:
        answered_after, answered_before: rate of harmless prompts that were answered, in [0, 1], for each suite.
    """
    return mean_delta(answered_before, answered_after)


def delta_per_slice(slices: Sequence[str], before: Sequence[float], after: Sequence[float]) -> list[SliceDelta]:
    """The change of each slice's mean score, most lost first: which part of a suite broke.

    Args:
        slices: the slice of each item.
        before, after: the score of each item, in the same order.

    Raises:
        ValueError: lengths differ.
    """
    members: dict[str, list[tuple[float, float, float]]] = {}
    for name, old, new in zip(slices, before, after, strict=True):
        members.setdefault(name, []).append((old, new, new - old))
    found = [
        SliceDelta(name, len(rows), *(sum(column) / len(rows) for column in zip(*rows, strict=True)))
        for name, rows in members.items()
    ]
    return sorted(found, key=lambda one: (one.delta, one.slice))


def _sum_of_changes(after: Sequence[float], before: Sequence[float]) -> float:
    if not after or len(after) != len(before):
        raise ValueError(f"{len(after)} suites after and {len(before)} before: equal numbers above 0 are required")
    return sum(new - old for new, old in zip(after, before, strict=True))
