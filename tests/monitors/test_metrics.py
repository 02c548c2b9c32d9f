"""Promises of the metrics: the published numbers come out, variant by variant, and each keeps its range and sign."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors import metrics
from monitors.metrics import METRICS, ScoreMatrix

# b, after task 1, after task 2, after task 3; columns are tasks 1 to 3.
ROWS = [[0.1, 0.2, 0.3], [0.9, 0.3, 0.2], [0.6, 0.8, 0.4], [0.5, 0.7, 0.9]]
EXPECTED = {
    "acc": 0.7, "maa": 2.3 / 3, "learning_accuracy": 2.6 / 3, "plasticity": (0.8 + 0.5 + 0.5) / 3,
    "fwt_gem": 0.1, "fwt_gem_code": 0.2 / 3, "fwt_citb": 0.35, "fwt_survey_as_printed": 0.25,
    "bwt_gem": -0.25, "bwt_survey": -0.25, "bwt_citb": -0.25,
    "bwt_gem_code": -1 / 6, "bwt_trace": -1 / 6, "bwt_sapt": -1 / 6,
    "forgetting_since_learned": 0.25, "forgetting_chaudhry": 0.25, "forgetting_mammoth": 0.25,
}  # fmt: skip
OF_A_MATRIX = [name for name, metric in METRICS.items() if metric.takes == "matrix"]

scores = st.floats(0, 1)
unhurried = settings(deadline=None)


def matrices(least=3, most=5, cell=scores):
    def rows(tasks):
        return st.lists(st.lists(cell, min_size=tasks, max_size=tasks), min_size=tasks + 1, max_size=tasks + 1)

    return st.integers(least, most).flatmap(rows)


# --- the published numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_A_MATRIX)
def test_every_variant_gives_its_own_number(name):
    assert METRICS[name].function(ScoreMatrix(ROWS)) == pytest.approx(EXPECTED[name], abs=1e-6)


def test_the_curve_is_the_mean_of_the_tasks_seen():
    assert metrics.average_accuracy_curve(ScoreMatrix(ROWS)) == pytest.approx([0.9, 0.7, 0.7])


def test_a_metric_after_an_earlier_update_reads_the_matrix_as_it_was_then():
    assert metrics.bwt_gem_code(ScoreMatrix(ROWS).until(2)) == pytest.approx((0.6 - 0.9) / 2)


def test_the_three_readings_of_forgetting_differ_where_learning_hurt_and_where_the_last_update_helped():
    hurt = ScoreMatrix([[0.8, 0.8, 0.1], [0.5, 0.7, 0.1], [0.5, 0.4, 0.1], [0.6, 0.3, 0.9]])
    assert metrics.forgetting_since_learned(hurt) == pytest.approx((-0.1 + 0.1) / 2)
    assert metrics.forgetting_chaudhry(hurt) == pytest.approx((-0.1 + 0.4) / 2)
    assert metrics.forgetting_mammoth(hurt) == pytest.approx((0.0 + 0.4) / 2)


def test_sapts_forward_transfer_is_against_models_that_learned_each_task_alone():
    assert metrics.fwt_sapt(ScoreMatrix(ROWS), [0.9, 0.9, 0.9]) == pytest.approx(2.6 / 3 - 0.9)
    with pytest.raises(ValueError, match="2 single-task scores for 3 tasks"):
        metrics.fwt_sapt(ScoreMatrix(ROWS), [0.9, 0.9])


# MMLU, GSM8K, BBH, TydiQA, BoolQ, PIQA of LLaMA-2-7B-chat before and after TRACE's eight tasks, with the published GAD.
BASE = [46.56, 26.08, 40.23, 23.47, 70.55, 76.22]
TRACE = {
    "sequential": ([46.43, 3.49, 30.11, 33.23, 77.89, 76.50], -2.58, -15.46 / 6),
    "lora": ([42.28, 14.71, 33.61, 21.72, 53.43, 75.19], -7.03, -42.17 / 6),
    "replay": ([47.04, 3.03, 36.61, 31.57, 75.75, 75.30], -2.31, -13.81 / 6),
}


@pytest.mark.parametrize("after, published, exact", TRACE.values(), ids=TRACE)
def test_general_ability_delta_is_traces_mean_over_six_suites(after, published, exact):
    assert METRICS["gad"].function(after, BASE) == pytest.approx(exact, abs=1e-6)
    assert metrics.mean_delta(after, BASE) == pytest.approx(published, abs=0.01)


def test_the_surveys_print_divides_by_the_tasks_and_gives_another_number():
    after, published, exact = TRACE["sequential"]
    printed = metrics.delta_survey_as_printed(after, BASE, tasks=8)
    assert printed == pytest.approx(exact * 6 / 8, abs=1e-6) == pytest.approx(-1.9325, abs=1e-6)
    assert abs(printed - published) > 0.5
    with pytest.raises(ValueError, match="0 tasks"):
        metrics.delta_survey_as_printed(after, BASE, tasks=0)


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


def test_fuar_needs_the_scores_of_every_model():
    with pytest.raises(ValueError, match="1 earlier corpora need 2 scores"):
        metrics.fuar([(0.5, 0.4)], [0.3], [0.1, 0.1])


@pytest.mark.parametrize(
    "scores, expected",
    [((0.8, 0.2, 0.8), 1.0), ((0.8, 0.2, 0.65), 0.75), ((0.8, 0.2, 0.1), -1 / 6), ((2.2, 4.2, 2.7), 0.75)],
)
def test_recovery_is_the_part_of_a_loss_that_comes_back(scores, expected):
    assert metrics.recovery(*scores) == pytest.approx(expected)


def test_where_nothing_was_lost_nothing_can_come_back():
    assert metrics.recovery(0.5, 0.5, 0.7) is None


def test_overrefusal_counts_refusals_so_answering_less_is_positive():
    assert METRICS["overrefusal"].function([0.8, 0.9], [1.0, 0.9]) == pytest.approx(0.1)


def test_slices_are_ordered_by_what_they_lost():
    found = metrics.delta_per_slice(["a", "b", "a", "b"], [1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0])
    assert [(one.slice, one.items, one.before, one.delta) for one in found] == [
        ("a", 2, 1.0, -0.5), ("b", 2, 0.5, -0.5)]  # fmt: skip
    assert metrics.delta_per_slice(["x", "y"], [0.0, 1.0], [1.0, 0.0])[0].slice == "y"


def test_suites_must_pair():
    with pytest.raises(ValueError, match="equal numbers"):
        metrics.mean_delta([0.1], [0.1, 0.2])


# --- what holds of every matrix ---------------------------------------------------------------------------------


@unhurried
@given(rows=matrices())
def test_every_metric_stays_in_its_range(rows):
    found = {name: METRICS[name].function(ScoreMatrix(rows)) for name in OF_A_MATRIX}
    ranges = {name: (METRICS[name].low - 1e-9, METRICS[name].high + 1e-9) for name in OF_A_MATRIX}
    assert {name: value for name, value in found.items() if not ranges[name][0] <= value <= ranges[name][1]} == {}


@unhurried
@given(row=st.lists(scores, min_size=3, max_size=6))
def test_a_model_that_never_changes_transfers_nothing_and_forgets_nothing(row):
    still = ScoreMatrix([row] * (len(row) + 1))
    changes = [name for name in OF_A_MATRIX if METRICS[name].low < 0 or name.startswith("forgetting")]
    assert "bwt_gem" in changes and len(changes) > 8
    assert {METRICS[name].function(still) for name in changes} == {0.0}


@unhurried
@given(rows=matrices())
def test_a_constant_more_on_every_score_moves_levels_by_it_and_changes_not_at_all(rows):
    raised = ScoreMatrix([[score + 1 for score in row] for row in rows])
    for name in OF_A_MATRIX:
        level = name in ("acc", "maa", "learning_accuracy", "fwt_citb")
        moved = METRICS[name].function(raised) - METRICS[name].function(ScoreMatrix(rows))
        assert moved == pytest.approx(1.0 if level else 0.0, abs=1e-9)


@unhurried
@given(rows=matrices())
def test_the_code_of_gem_gives_its_papers_numbers_times_one_less_task(rows):
    r = ScoreMatrix(rows)
    share = (r.tasks - 1) / r.tasks
    assert metrics.bwt_gem_code(r) == pytest.approx(share * metrics.bwt_gem(r), abs=1e-12)
    assert metrics.fwt_gem_code(r) == pytest.approx(share * metrics.fwt_gem(r), abs=1e-12)


@unhurried
@given(rows=matrices())
def test_accuracy_is_what_was_learned_plus_what_became_of_it(rows):
    r = ScoreMatrix(rows)
    assert metrics.average_accuracy(r) == pytest.approx(metrics.learning_accuracy(r) + metrics.bwt_gem_code(r))


@unhurried
@given(rows=matrices())
def test_the_readings_of_forgetting_are_ordered_and_bound_backward_transfer(rows):
    r = ScoreMatrix(rows)
    since, ever, clipped = (
        METRICS[f"forgetting_{one}"].function(r) for one in ("since_learned", "chaudhry", "mammoth")
    )
    assert -metrics.bwt_gem(r) - 1e-9 <= since <= ever + 1e-9 <= clipped + 2e-9
    assert clipped >= 0


@unhurried
@given(rows=matrices(), loss=st.floats(0.01, 0.5))
def test_a_loss_on_an_old_task_shows_with_the_sign_of_the_table(rows, loss):
    worse = [list(row) for row in rows]
    worse[-1][0] = rows[-1][0] - loss
    for name in ("acc", "bwt_gem", "bwt_trace", "forgetting_since_learned", "forgetting_chaudhry"):
        change = METRICS[name].function(ScoreMatrix(worse)) - METRICS[name].function(ScoreMatrix(rows))
        assert (change < 0) == (METRICS[name].better == "higher")


# --- missing cells ----------------------------------------------------------------------------------------------


@unhurried
@given(rows=matrices(cell=st.one_of(st.none(), scores)))
def test_a_metric_is_computed_exactly_where_it_has_every_cell_that_it_reads(rows):
    r = ScoreMatrix(rows)
    for name, reading in metrics.summary(r).items():
        if reading.value is None:
            assert reading.missing and set(reading.missing) <= r.missing
            with pytest.raises(metrics.MissingCells):
                METRICS[name].function(r)
        else:
            assert reading == metrics.Reading(METRICS[name].function(r))


@unhurried
@given(rows=matrices(), other=st.floats(2, 3))
def test_cells_that_a_metric_does_not_read_do_not_move_it(rows, other):
    for name in OF_A_MATRIX:
        read = metrics.cells_read(METRICS[name].function, len(rows) - 1)
        spoiled = [
            [score if (update, task) in read else other for task, score in enumerate(row, 1)]
            for update, row in enumerate(rows)
        ]
        assert METRICS[name].function(ScoreMatrix(spoiled)) == METRICS[name].function(ScoreMatrix(rows))


def test_a_single_task_has_accuracy_and_no_transfer():
    found = metrics.summary(ScoreMatrix([[0.1], [0.8]]))
    assert (found["acc"].value, found["plasticity"].value) == (0.8, pytest.approx(0.7))
    assert found["bwt_gem"].value is found["forgetting_chaudhry"].value is None
    assert "at least 2 tasks" in found["bwt_gem"].why_not


def test_the_surveys_forward_transfer_has_no_term_of_two_tasks():
    found = metrics.summary(ScoreMatrix([[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]))
    assert found["fwt_gem"].value == 0.0
    assert "at least 3 tasks" in found["fwt_survey_as_printed"].why_not


@pytest.mark.parametrize("rows", [[], [[0.1]], [[0.1], [0.2, 0.3]], [[0.1, 0.2]] * 2])
def test_a_malformed_matrix_is_refused(rows):
    with pytest.raises(ValueError, match="T \\+ 1 rows"):
        ScoreMatrix(rows)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="must be finite"):
        ScoreMatrix([[0.1], [bad]])


@pytest.mark.parametrize("cell", [(0, 0), (4, 1), (-1, 1), (1, 4)])
def test_a_cell_outside_the_matrix_is_no_score(cell):
    with pytest.raises(IndexError, match=r"outside updates 0\.\.3"):
        ScoreMatrix(ROWS)[cell]


def test_every_metric_has_a_source_and_a_formula():
    assert all(metric.source and metric.function.__doc__ for metric in METRICS.values())
    assert {name for name in METRICS if METRICS[name].headline} == {
        "acc", "learning_accuracy", "fwt_gem", "bwt_gem", "forgetting_since_learned", "gad", "ifd", "sd",
        "overrefusal",
    }  # fmt: skip
