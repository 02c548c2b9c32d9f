"""Erosion: what many versions lost together of a suite that each of them alone held, against the one that adopted it.

A norm's suite may lose its tolerance by the estimate in every cycle (`SuitePolicy.by_estimate`), so its parent sees
nothing of a loss that adds up. This is the second comparison: with the *adopter*, the version of the line from which
the norm counts (`agent.steps.adoption` says which). Not with the best version so far: the greatest of many noisy
scores is too great by chance, and every later version would fall short of it.

A suite has eroded if its estimate lost more than the tolerance and that is no chance: the upper bound of the paired
difference is below zero, and for binary scores McNemar's exact test finds a loss, too. It holds a candidate for a
person and rejects none, since the one that is judged may have lost none of it.

Twenty versions in a row, simulated for a suite of 40 items, tolerance 0.05 and confidence 0.95: the margins of the
items wander around where they were, or sink besides (300 trials each; `tests/monitors/test_gate_erosion.py` keeps the
first and the last so):

| truth | items that flip from version to version | held at least once in twenty | loss at the first hold |
|---|---|---|---|
| no erosion | 4 % | 0.02 | |
| no erosion | 9 % | 0.11 | |
| no erosion | 16 % | 0.21 | |
| 0.012 a version, 0.24 in all | 8 % | 0.99, version 10 in the middle | 0.15 |
| 0.024 a version, 0.48 in all | 11 % | 1.00, version 6 in the middle | 0.16 |

So no correction is made for asking at every version: the comparisons share their reference and most of the changed
items, and are nearly one test. One for twenty independent ones would see no loss under a third of forty items.
"""

from __future__ import annotations

from monitors.evidence import Pairs
from monitors.gate.comparison import SuiteComparison, Terms, compare_numbers

__all__ = ["since_adoption"]


def since_adoption(pairs: Pairs, adopter: str, terms: Terms) -> SuiteComparison:
    """Compare a candidate with the version that adopted what a suite asks.

    Args:
        pairs: the adopter's scores before, the candidate's after.
        adopter: the version's id, for people.
        terms: with the tolerance that the suite has against the parent, too.

    Returns:
        A row whose outcome is `pass` or `eroded`.
    """
    row = compare_numbers(pairs, "adopter", terms)
    delta, high = row.delta or 0.0, row.high or 0.0
    found = row.p_loss is None or row.p_loss <= 1 - terms.interval.confidence
    if delta >= -row.tolerance or high >= 0 or not found:
        return row.model_copy(update={"outcome": "pass"})
    note = (
        f"it eroded since {adopter}, by which it was adopted, although no single version lost much of it; teach it "
        "again, `cld values revise` it, or approve: then it is compared with this version from now on"
    )
    return row.model_copy(update={"outcome": "eroded", "note": note})
