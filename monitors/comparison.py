"""Comparisons: a candidate against one reference on one suite, with bounds, outcome and what broke.

Owns the must-hold rule for one suite (`compare`) and the sentence that tells a person about it. Which suites are
compared with what, and what follows from all of them, is `gate`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from monitors.evidence import Pairs
from monitors.job import Role
from monitors.metrics import bootstrap_interval

__all__ = ["Against", "Interval", "Outcome", "SuiteComparison", "compare", "compare_margins", "sentence"]

Against = Literal["parent", "anchor"]
Outcome = Literal["pass", "fail", "unclear", "missing", "blind"]

_NAMED_ITEMS: Final = 20
_NAMED_SLICES: Final = 3


class Interval(BaseModel):
    """How bounds are computed: confidence of each bound (one-sided), and bootstrap samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float
    resamples: int

    def of(self, groups: Sequence[Sequence[float]], seed: str) -> tuple[float, float]:
        """Bounds of the mean over groups of each group's mean."""
        return bootstrap_interval(groups, confidence=self.confidence, resamples=self.resamples, seed=seed)


class SuiteComparison(BaseModel):
    """The candidate against one reference on one suite.

    Attributes:
        role: what it was judged as; a safety suite that is also a target has rows as each.
        before, after, delta, low, high: means and bounds, in `unit`; None where `outcome` is `missing` or `blind`.
        tolerance: in `unit`; for a target, what it may not lose beyond.
        unit: `score` in [0, 1], or `nats` where the rate is blind and margins were compared.
        score_delta: change of the mean score, whatever the unit.
        note: why the outcome is what it is, for people.
        broken_items: probes that lost, worst first, at most 20.
        broken_slices: slices that lost more than the tolerance on average, worst first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    role: Role
    against: Against
    items: int
    before: float | None = None
    after: float | None = None
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    tolerance: float
    unit: Literal["score", "nats"] = "score"
    score_delta: float | None = None
    outcome: Outcome
    note: str = ""
    broken_items: tuple[str, ...] = ()
    broken_slices: tuple[str, ...] = ()


def compare(pairs: Pairs, against: Against, tolerance: float, interval: Interval) -> SuiteComparison:
    """Compare scores by the must-hold rule (see `gate`)."""
    differences = [new - old for new, old in zip(pairs.after, pairs.before, strict=True)]
    delta = _mean(differences)
    low, high = interval.of([differences], f"{pairs.suite} {against}")
    worst = sorted((difference, probe) for difference, probe in zip(differences, pairs.probes, strict=True))
    return SuiteComparison(
        suite=pairs.suite,
        role=pairs.role,
        against=against,
        items=len(differences),
        before=_mean(pairs.before),
        after=_mean(pairs.after),
        delta=delta,
        low=low,
        high=high,
        tolerance=tolerance,
        score_delta=delta,
        outcome=_outcome(delta, low, high, tolerance),
        broken_items=tuple(probe for difference, probe in worst if difference < 0)[:_NAMED_ITEMS],
        broken_slices=_broken_slices(pairs.slices, differences, tolerance),
    )


def compare_margins(pairs: Pairs, against: Against, tolerance_nats: float, interval: Interval) -> SuiteComparison:
    """Compare margins instead of scores, by the same rule; `blind` unless every item has one on both sides."""
    why = "its rate is at the floor in parent and anchor and cannot fall"
    score_delta = _mean(pairs.after) - _mean(pairs.before)
    if pairs.margins_before is None or pairs.margins_after is None:
        return SuiteComparison(
            suite=pairs.suite,
            role=pairs.role,
            against=against,
            items=len(pairs.probes),
            tolerance=tolerance_nats,
            unit="nats",
            score_delta=score_delta,
            outcome="blind",
            note=f"{why}, and not every item has a margin",
        )
    margins = pairs.with_scores(pairs.margins_before, pairs.margins_after)
    row = compare(margins, against, tolerance_nats, interval)
    return row.model_copy(
        update={"unit": "nats", "score_delta": score_delta, "note": f"{why}, so margins were compared"}
    )


def sentence(row: SuiteComparison) -> str:
    """One sentence on a comparison that did not pass."""
    against = f"{row.suite} against the {row.against}"
    if row.outcome in ("missing", "blind"):
        return f"{against}: {row.note}"
    unit = " nats" if row.unit == "nats" else ""
    numbers = (f"{against}: {row.before:.2f} -> {row.after:.2f}{unit} ({row.delta:+.2f}, between {row.low:+.2f} and "
               f"{row.high:+.2f}, {row.items} items)")  # fmt: skip
    note = f"; {row.note}" if row.note else ""
    if row.role == "target" and row.note:
        return numbers + note
    if row.outcome == "fail":
        slices = ", ".join(map(repr, row.broken_slices[:_NAMED_SLICES]))
        decay = "; roll back, or pin a newer anchor if this loss is wanted" if row.against == "anchor" else ""
        return f"{numbers}{note}; it lost more than {row.tolerance:.2f}{slices and ', worst in ' + slices}{decay}"
    leaning = "probably more" if row.delta is not None and row.delta < -row.tolerance else "probably less"
    return (
        f"{numbers}{note}; whether it lost more than {row.tolerance:.2f} is unclear, {leaning}: more items would tell"
    )


def _outcome(delta: float, low: float, high: float, tolerance: float) -> Outcome:
    if low > -tolerance or (delta >= -tolerance / 2 and low > -2 * tolerance):
        return "pass"
    return "fail" if high < -tolerance else "unclear"


def _broken_slices(slices: Sequence[str], differences: Sequence[float], tolerance: float) -> tuple[str, ...]:
    members: dict[str, list[float]] = {}
    for name, difference in zip(slices, differences, strict=True):
        members.setdefault(name, []).append(difference)
    means = sorted((_mean(values), name) for name, values in members.items())
    return tuple(name for mean, name in means if mean < -tolerance)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
