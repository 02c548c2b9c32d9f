"""Promises of the bootstrap: equal seeds agree, and each bound covers as often as it says."""

import pytest

from monitors import metrics


def interval(groups, seed="s", confidence=0.95):
    return metrics.bootstrap_interval(groups, confidence=confidence, resamples=2000, seed=seed)


def test_the_interval_is_the_same_for_the_same_seed_and_moves_little_with_another():
    flips = [1.0] * 10 + [-1.0] * 12 + [0.0] * 78
    assert interval([flips]) == interval([flips])
    assert interval([flips], "t") == pytest.approx(interval([flips]), abs=0.02)


def test_the_interval_matches_the_normal_one_on_many_items():
    low, high = interval([[1.0, 0.0] * 500])
    half = 1.645 * 0.5 / 1000**0.5
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.004)


def test_groups_weigh_the_same_whatever_their_size():
    low, high = interval([[1.0] * 1000, [0.0] * 10])
    assert low == high == pytest.approx(0.5)


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ValueError, match="an item in each"):
        interval([[0.1], []])


@pytest.mark.parametrize("items", [30, 100])
def test_each_bound_covers_as_often_as_it_says(items):
    import numpy as np

    generator = np.random.default_rng(1)
    misses = 0
    for trial in range(1500):
        differences = generator.choice([-1.0, 0.0, 1.0], p=[0.15, 0.8, 0.05], size=items)
        low, _ = metrics.bootstrap_interval([differences.tolist()], confidence=0.95, resamples=400, seed=str(trial))
        misses += low > -0.10
    assert misses / 1500 < 0.08
