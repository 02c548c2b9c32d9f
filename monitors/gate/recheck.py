"""The re-check: a promoted version's second measurement beside the one that its verdict rests on."""

from __future__ import annotations

from collections.abc import Sequence

from monitors.evidence import NotComparable, by_suite, pair
from monitors.gate.comparison import Terms, compare_numbers
from monitors.gate.policy import GatePolicy
from monitors.job import Measurement

__all__ = ["judge_recheck"]


def judge_recheck(
    first: Sequence[Measurement],
    again: Sequence[Measurement],
    policy: GatePolicy,
    *,
    required_suites: Sequence[str] = (),
) -> list[str]:
    """Compare a version's second measurement with the one that its verdict rests on.

    Both are of the same weights under the same settings, so the only noise is the engine's: a suite breaks if it lost
    more than its tolerance and the loss is not explained by spread (its upper bound is below zero). Suites in dry run
    are passed over.

    Args:
        again: may hold a part of each suite's items, but some of every suite in `first`.

    Returns:
        One sentence for each suite that broke or was not measured again; empty if the verdict stands.
    """
    old, new = by_suite(first), by_suite(again)
    broken: list[str] = []
    for suite in sorted({*old, *new, *required_suites}):
        if policy.dry_run(suite):
            continue
        try:
            pairs = pair(old.get(suite, []), new.get(suite, []), subset=True)
        except NotComparable as error:
            broken.append(f"{suite}: {error}")
            continue
        row = compare_numbers(pairs, "parent", Terms(policy.tolerance(pairs.role, suite), policy.interval()))
        if row.delta is not None and row.high is not None and row.delta < -row.tolerance and row.high < 0:
            broken.append(f"{suite} fell from {row.before:.2f} to {row.after:.2f} ({row.items} items)")
    return broken
