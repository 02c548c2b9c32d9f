"""Promises of `monitors.recovering`: of a clear loss, the part that later updates brought back, from stored scores."""

from __future__ import annotations

import pytest

from monitors.chain import drift
from monitors.matrix import ItemScore, version_matrix
from monitors.recovering import Comeback


def of(right: dict[str, int], line: list[str] | None = None, items: int = 20) -> Comeback | None:
    """What came back of a suite of which each version answers so many items rightly."""
    scores = [
        ItemScore(version, "arc", "d", "general", "e", f"p{number:03}", float(number < count))
        for version, count in right.items()
        for number in range(items)
    ]
    versions = line or list(right)
    (found,) = drift(version_matrix(scores, versions), versions, versions[0])
    return found.comeback


@pytest.mark.parametrize(("newest", "part"), [(18, 1.0), (12, 0.5), (6, 0.0), (3, -0.25)])
def test_a_loss_comes_back_in_part_in_whole_or_not_at_all(newest: int, part: float):
    found = of({"v0": 10, "v1": 18, "v2": 6, "v3": newest})
    assert found is not None and found.recovery == pytest.approx(part)
    assert (found.before, found.newest) == ("v1", "v3")


def test_the_number_of_updates_since_is_told_and_unmeasured_versions_count():
    found = of({"v0": 18, "v1": 6, "v4": 18}, ["v0", "v1", "v2", "v3", "v4"])
    assert found == Comeback("v0", "v1", "v4", 3, 1.0)


def test_the_worst_loss_is_the_one_that_is_told():
    found = of({"v0": 18, "v1": 12, "v2": 18, "v3": 4, "v4": 18})
    assert found is not None and (found.before, found.forgotten) == ("v2", "v3")


@pytest.mark.parametrize(
    "right",
    [
        {"v0": 10, "v1": 14, "v2": 18},  # nothing was lost
        {"v0": 18, "v1": 6},  # nothing was measured after the loss
        {"v0": 10, "v1": 9, "v2": 10},  # one item of twenty is noise
        {"v0": 10},
    ],
)
def test_without_a_clear_loss_before_the_newest_version_nothing_is_told(right: dict[str, int]):
    assert of(right) is None
