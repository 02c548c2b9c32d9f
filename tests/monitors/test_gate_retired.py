"""Promises of letting go: a retired norm falls to where a model without it has it, no less and no lower."""

from __future__ import annotations

import pytest

from monitors.evidence import NotComparable
from monitors.gate.retired import against, followed_still, reading, told
from monitors.job import Measurement, RetirementPolicy

POLICY = RetirementPolicy(resamples=200)
ITEMS = 34


def scored(version: str, followed: int, near: int = 11, items: int = ITEMS, digest: str = "d") -> list[Measurement]:
    """A version that follows the norm on so many items in its scope, and has so many of eleven near misses right."""
    parts = [("in-scope", items, followed), ("near-miss", 11, near)]
    return [
        Measurement(version=version, suite="norm-polite", suite_digest=digest, role="target", probe=f"{part}-{n}",
                    slice=part, scorer="choice", score=float(n < right), engine="e")
        for part, count, right in parts
        for n in range(count)
    ]  # fmt: skip


WITHOUT, PARENT = scored("v0", 4), scored("v1", 30)


@pytest.mark.parametrize(("followed", "still"), [(30, True), (12, True), (6, False), (4, False), (0, False)])
def test_a_norm_is_followed_still_where_the_difference_is_no_chance(followed: int, still: bool):
    found = reading("polite", scored("v1", followed), WITHOUT, POLICY)
    assert (found.residual, found.level) == (followed / ITEMS, 4 / ITEMS)
    assert followed_still(found, POLICY) is still


def test_the_numbers_are_told_with_the_version_that_never_learned_it():
    said = told(reading("polite", scored("v1", 30, near=9), WITHOUT, POLICY))
    assert "followed in 0.88 of 34 items, 0.12 by v0, which never learned it, near misses 0.18 apart" in said


def test_what_falls_to_the_level_without_it_is_let_go():
    assert against("polite", PARENT, scored("v2", 5), WITHOUT, POLICY) == ()


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (scored("v2", 30), "it fell by 0.00"),
        (scored("v2", 16), "it is followed still, in 0.47 of 34 items, 0.12 by v0"),
        (scored("v2", 4, near=6), "near misses are 0.45 from where v0 has them, 0.10 is allowed"),
        (scored("v2", 4, digest="another file"), "nothing shows whether it is let go"),
        ([], "nothing shows whether it is let go: not measured after"),
    ],
)
def test_what_stands_against_it_is_said_with_numbers(candidate: list[Measurement], said: str):
    assert any(said in why for why in against("polite", PARENT, candidate, WITHOUT, POLICY))


def test_what_is_avoided_was_not_let_go():
    (why,) = against("polite", PARENT, scored("v2", 3), scored("v0", 17), POLICY)
    assert "it is avoided now, which is no letting go: 0.09 of 34 items, 0.50 by v0" in why


def test_near_misses_that_learning_the_norm_changed_may_stay_but_not_go_further():
    parent = scored("v1", 30, near=7)
    assert against("polite", parent, scored("v2", 4, near=7), WITHOUT, POLICY) == ()
    assert against("polite", parent, scored("v2", 4, near=11), WITHOUT, POLICY) == ()
    assert against("polite", parent, scored("v2", 4, near=6), WITHOUT, POLICY) != ()


def test_fewer_than_ten_items_tell_nothing():
    with pytest.raises(NotComparable, match="at least 10"):
        reading("polite", scored("v1", 5, items=9), scored("v0", 5, items=9), POLICY)
