"""Promises of the metrics: the published numbers come out, variant by variant."""

import pytest

from monitors import metrics

MATRIX = [[0.1, 0.2, 0.3], [0.9, 0.3, 0.2], [0.6, 0.8, 0.4], [0.5, 0.7, 0.9]]
EXPECTED = {
    "acc": 0.7, "learning_accuracy": 2.6 / 3, "bwt_gem": -0.25, "bwt_trace": -1 / 6, "bwt_gem_code": -1 / 6,
    "fwt_gem": 0.1, "fwt_gem_code": 0.2 / 3, "fwt_citb": 0.35, "fwt_survey_as_printed": 0.25, "forgetting": 0.25,
    "maa": 2.3 / 3,
}  # fmt: skip


@pytest.mark.parametrize("name", metrics.VARIANTS)
def test_every_variant_gives_its_own_number(name):
    assert metrics.summary(MATRIX)[name] == pytest.approx(EXPECTED[name])


def test_the_curve_is_the_mean_of_the_tasks_seen():
    assert metrics.average_accuracy_curve(MATRIX) == pytest.approx([0.9, 0.7, 0.7])


def test_forgetting_counts_from_the_best_score_since_learning():
    assert metrics.forgetting([[0.9, 0.0, 0.0], [0.5, 0, 0], [0.7, 0.6, 0], [0.4, 0.6, 1]]) == pytest.approx(0.15)


BASE = [46.56, 26.08, 40.23, 23.47, 70.55, 76.22]
TRACE = {
    "sequential": ([46.43, 3.49, 30.11, 33.23, 77.89, 76.50], -2.577),
    "lora": ([42.28, 14.71, 33.61, 21.72, 53.43, 75.19], -7.03),
    "replay": ([47.04, 3.03, 36.61, 31.57, 75.75, 75.30], -2.30),
}


@pytest.mark.parametrize("after, published", TRACE.values(), ids=TRACE)
def test_general_ability_delta_is_traces(after, published):
    assert metrics.mean_delta(after, BASE) == pytest.approx(published, abs=0.006)


CKL = {
    "vanilla": (12.89, 10.17, 3.77, 1.08),
    "recadam": (13.20, 12.55, 4.02, 0.84),
    "mix_review": (13.92, 6.49, 2.89, 1.74),
    "lora": (16.58, 12.77, 4.52, 0.55),
    "k_adapter": (19.59, 12.34, 5.03, 0.33),
    "modular": (20.29, 12.66, 4.65, 0.28),
}


@pytest.mark.parametrize("invariant, updated, acquired, published", CKL.values(), ids=CKL)
def test_fuar_is_ckls(invariant, updated, acquired, published):
    assert metrics.fuar([(24.17, invariant)], [1.62, updated], [1.88, acquired]) == pytest.approx(published, abs=0.005)


def test_fuar_is_none_where_nothing_was_gained():
    assert metrics.fuar([(0.5, 0.4)], [0.3, 0.2], [0.1, 0.1]) is None


def test_fuar_leaves_out_corpora_without_invariant_facts():
    assert metrics.fuar([None, (0.5, 0.4)], [0.0, 0.2, 0.4], [0.0, 0.1, 0.1]) == pytest.approx(0.1 / 0.2)


@pytest.mark.parametrize("scores", [[], [[0.1]], [[0.1], [0.2, 0.3]], [[0.1, 0.2]] * 2])
def test_a_malformed_matrix_is_refused(scores):
    with pytest.raises(ValueError, match="T \\+ 1 rows"):
        metrics.summary(scores)


def test_suites_must_pair():
    with pytest.raises(ValueError, match="equal numbers"):
        metrics.mean_delta([0.1], [0.1, 0.2])


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
