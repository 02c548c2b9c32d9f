"""The four numbers of a changed norm, on items whose answers are plain to see."""

import pytest

from monitors.metrics import METRICS, norm_adoption, norm_overgeneralisation, norm_residual, norm_retention


def test_a_revision_that_did_what_it_should():
    assert norm_adoption([1, 1, 1, 0]) == 0.75
    assert norm_residual([0, 0, 0, 1]) == 0.25
    assert norm_retention([1, 1, 0], [1, 1, 0]) == 1
    assert norm_overgeneralisation([1, 0], [1, 0]) == 0


def test_a_gain_hides_no_loss_of_a_norm_that_holds():
    assert norm_retention([1, 0, 1, 1], [1, 1, 0, 1]) == pytest.approx(2 / 3)
    assert norm_overgeneralisation([1, 0, 1, 1], [1, 1, 0, 1]) == 0.5


def test_what_was_never_followed_cannot_be_retained():
    assert norm_retention([1, 0], [0, 0]) is None


def test_other_items_after_than_before_or_none_are_refused():
    for metric in (norm_retention, norm_overgeneralisation):
        with pytest.raises(ValueError, match="2 items after and 1 before"):
            metric([1, 0], [1])
        with pytest.raises(ValueError, match="no items"):
            metric([], [])
    with pytest.raises(ValueError, match="no items"):
        norm_adoption([])


def test_each_stands_in_the_table_with_its_sign():
    found = {name: metric.better for name, metric in METRICS.items() if metric.takes == "norms"}
    assert found == {
        "norm_adoption": "higher", "norm_retention": "higher", "norm_residual": "lower",
        "norm_overgeneralisation": "lower",
    }  # fmt: skip
