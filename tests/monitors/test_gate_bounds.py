"""Promises of the bounds: one rule chooses the method, the exact test is exact, and bounds keep what they say."""

import math
import random

import pytest
from gate_samples import POLICY

from monitors.gate.bounds import exact_mcnemar, is_binary, score_bounds


def changes(won, lost, same=0):
    return [1.0] * won + [-1.0] * lost + [0.0] * same


@pytest.mark.parametrize("won, lost, expected", [
    (0, 0, 1.0), (0, 5, 1 / 32), (1, 6, 8 / 128), (6, 1, 127 / 128), (10, 10, 0.5880985260009766),
])  # fmt: skip
def test_the_exact_test_counts_the_tail_of_a_fair_coin(won, lost, expected):
    assert exact_mcnemar(changes(won, lost, 30)) == pytest.approx(expected, abs=1e-12)


def test_items_that_did_not_change_say_nothing_to_the_exact_test():
    assert exact_mcnemar(changes(2, 7)) == exact_mcnemar(changes(2, 7, 500))


def test_the_worked_example_of_fagerland_2014_comes_out():
    # Airway hyper-responsiveness of 21 children before and after stem-cell transplantation: 1 and 7 changed.
    assert score_bounds(1, 7, 21, 0.975) == (pytest.approx(-0.517, abs=5e-4), pytest.approx(-0.026, abs=5e-4))
    assert 2 * exact_mcnemar(changes(1, 7, 13)) == pytest.approx(0.0703, abs=5e-5)


@pytest.mark.parametrize("won, lost, items", [(1, 7, 21), (12, 2, 50), (9, 14, 128)])
def test_a_bound_is_the_margin_at_which_the_score_test_gives_in(won, lost, items):
    # The nuisance parameter is found by search here, not by the closed form.
    for bound, sign in zip(score_bounds(won, lost, items, 0.975), (1, -1), strict=True):
        assert score(won, lost, items, bound) == pytest.approx(sign * 1.959964, abs=1e-4)


def score(won, lost, items, margin):
    def log_likelihood(loss):
        cells = ((won, loss + margin), (lost, loss), (items - won - lost, 1 - 2 * loss - margin))
        return sum(count * math.log(cell) for count, cell in cells)

    left, right = max(0.0, -margin), (1 - margin) / 2
    for _ in range(200):
        third = (right - left) / 3
        if log_likelihood(left + third) < log_likelihood(right - third):
            left += third
        else:
            right -= third
    return (won - lost - items * margin) / math.sqrt(items * (2 * left + margin - margin**2))


@pytest.mark.parametrize("items", [10, 84, 500])
def test_no_changed_item_proves_more_the_more_items_there_are(items):
    low, high = score_bounds(0, 0, items, 0.95)
    z = 1.6448536
    assert high == pytest.approx(z * z / (items + z * z), abs=1e-6)
    assert low == pytest.approx(-high, abs=1e-9)


def test_the_bounds_mirror_when_winning_and_losing_are_exchanged():
    low, high = score_bounds(9, 3, 60, 0.9)
    assert score_bounds(3, 9, 60, 0.9) == (pytest.approx(-high), pytest.approx(-low))


@pytest.mark.parametrize("won, lost", [(1.0, 0.0), (0.0, 1.0)])
def test_all_items_changed_still_gives_bounds_within_one(won, lost):
    low, high = score_bounds(int(20 * won), int(20 * lost), 20, 0.95)
    assert -1.0 <= low <= won - lost <= high <= 1.0


@pytest.mark.parametrize("flips, loss", [(0.1, 0.0), (0.15, 0.1), (0.3, 0.2)])
def test_each_bound_covers_the_truth_as_often_as_it_says(flips, loss):
    draw, items, trials, wrong = random.Random(4), 84, 600, 0
    for _ in range(trials):
        lost = sum(draw.random() < (flips + loss) / 2 for _ in range(items))
        won = sum(draw.random() < (flips - loss) / 2 for _ in range(items))
        wrong += score_bounds(won, lost, items, 0.95)[0] > -loss
    assert wrong / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_binary_scores_are_counted_and_all_others_resampled():
    graded = changes(3, 2, 40)
    counted = POLICY.interval().of([graded], "s", binary=True)
    assert counted == score_bounds(3, 2, 45, 0.95)
    assert POLICY.interval().of([graded], "s", binary=False) != counted
    assert is_binary([0.0, 1.0], [1.0]) and not is_binary([0.0, 0.5])


def test_the_bounds_of_one_suite_are_its_own_and_of_equal_ones_narrow_with_their_number():
    own, equal = score_bounds(3, 2, 45, 0.95), changes(3, 2, 40)
    assert POLICY.interval().of([equal], "s", binary=True) == pytest.approx(own)
    low, high = POLICY.interval().of([equal] * 4, "s", binary=True)
    assert (1 / 45 - low, high - 1 / 45) == pytest.approx(((1 / 45 - own[0]) / 2, (own[1] - 1 / 45) / 2))


@pytest.mark.parametrize("groups", [[[1.0], *[[0.0]] * 9], [changes(3, 0), *[changes(0, 0, 3)] * 3]])
def test_few_items_prove_little_in_many_suites_too(groups):
    low, high = POLICY.interval().of(groups, "s", binary=True)
    assert low < 0 < high
    resampled = POLICY.interval().of(groups, "s", binary=False)
    assert resampled[0] == resampled[1]  # what a bootstrap makes of them


@pytest.mark.parametrize("sizes", [(10, 10), (4, 8, 30), (1,) * 12])
def test_the_bounds_over_several_suites_cover_the_truth_as_often_as_they_say(sizes):
    draw, trials, wrong = random.Random(5), 600, 0
    for _ in range(trials):
        groups = [draw.choices((1.0, -1.0, 0.0), (0.25, 0.1, 0.65), k=items) for items in sizes]
        wrong += POLICY.interval().of(groups, "s", binary=True)[0] > 0.15
    assert wrong / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_looks_share_the_risk_out():
    assert POLICY.interval(3).confidence == pytest.approx(1 - 0.05 / 3)
    assert POLICY.interval(1).confidence == 0.95
