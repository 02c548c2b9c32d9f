"""Must win: the target suites of a cycle, judged by their joint gain over the parent.

Owns the must-win rule (see `monitors.gate`). Called by `judging`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from monitors.evidence import NotComparable, Pairs
from monitors.gate.bounds import is_binary, no_closer
from monitors.gate.case import MIN_ITEMS, Case
from monitors.gate.comparison import Outcome, SuiteComparison, compare_numbers
from monitors.gate.policy import GatePolicy

__all__ = ["Gain", "must_win"]

_CEILING: Final = 1.0 - 1e-9


class Gain(BaseModel):
    """What the targets won together.

    Attributes:
        suites: the targets that had something to win.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome
    note: str
    suites: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


def must_win(case: Case, targets: Sequence[str]) -> tuple[list[SuiteComparison], Gain]:
    """A row for every target suite, and their joint gain."""
    rows: list[SuiteComparison] = []
    open_: list[tuple[Pairs, SuiteComparison]] = []
    # Targets are judged together, so ten items in all are enough.
    enough = sum(len(case.candidate.get(suite, [])) for suite in targets) >= MIN_ITEMS
    for suite in targets:
        try:
            pairs = case.pairs(suite, "parent", 1 if enough else MIN_ITEMS)
        except NotComparable as error:
            rows.append(case.missing(suite, "target", "parent", error))
            continue
        row = compare_numbers(pairs, "parent", case.terms(suite, "target"))
        row = row.model_copy(update={"role": "target"})
        if row.before is not None and row.before >= _CEILING:
            rows.append(row.model_copy(update={"note": "it was at 1.0 already, so it only has to hold"}))
        else:
            open_.append((pairs, row))
    gain = _joint_gain(open_, case.policy, case.looks(targets))
    for _, row in open_:
        # A target that got clearly worse on its own is not outvoted by the others' gain.
        joint = {} if row.outcome == "fail" else {"outcome": gain.outcome, "note": gain.note}
        rows.append(row.model_copy(update=joint))
    return rows, gain


def _joint_gain(open_: Sequence[tuple[Pairs, SuiteComparison]], policy: GatePolicy, looks: int) -> Gain:
    if not open_:
        return Gain(outcome="pass", note="no target suite had anything left to win")
    groups = [pairs.differences for pairs, _ in open_]
    gain = sum(sum(group) / len(group) for group in groups) / len(groups)
    binary = all(is_binary(pairs.before, pairs.after) for pairs, _ in open_)
    bounds = policy.interval(looks).of(groups, "targets", binary=binary)
    low, high = no_closer(bounds, gain, [row.floor for _, row in open_])
    won = gain >= policy.target_gain and low > 0
    outcome: Outcome = "pass" if won else "fail" if gain <= 0 or high < policy.target_gain else "unclear"
    word = {"pass": "won", "fail": "did not win", "unclear": "did not clearly win"}[outcome]
    note = (f"the targets {word}: {gain:+.2f} (between {low:+.2f} and {high:+.2f}); "
            f"{policy.target_gain:+.2f} and a lower bound above 0 are asked")  # fmt: skip
    return Gain(outcome=outcome, note=note, suites=tuple(pairs.suite for pairs, _ in open_), low=low, high=high)
