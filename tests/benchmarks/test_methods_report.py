"""Promises of `benchmarks.methods`' standings, tables and plots, and of the page they are published on."""

import json

import pytest

from benchmarks import pages
from benchmarks.lab import Learned
from benchmarks.methods import plots, report
from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import MULTI_TASK, ZERO_SHOT, RunResult, Setup
from benchmarks.methods.standings import best, curve, standings

SETUP = Setup(stage="cit", stream="short", tasks=2, items=2, test_items=2)


def learned(seconds=2.0, energy=0.001):
    return Learned(
        version="t1", tokens=100, steps=1, first_loss=1.0, last_loss=0.5, seconds=seconds, trainable_parameters=10,
        peak_memory_bytes=2**30, energy_kwh=energy,
    )  # fmt: skip


def result(method, kept, order=1, **cost):
    """Two tasks, learned to 0.9 and 0.8; `kept` is left of the first."""
    scores = ((0.1, 0.2), (0.9, 0.3), (kept, 0.8))
    return RunResult(
        method=method, order=order, tasks=("a", "b"), scores=scores, learned=(learned(**cost),) * 2, seconds=60.0
    )


def reference(method, score):
    return RunResult(
        method=method, order=1, tasks=("a", "b"), scores=((0.1, 0.2), (None, None), (score, score)), seconds=1.0
    )


def comparison(*more):
    return Comparison(
        SETUP,
        [
            reference(ZERO_SHOT, 0.15),
            reference(MULTI_TASK, 0.95),
            result("finetune", 0.1),
            result("replay", 0.7),
            *more,
        ],
        {("ewc", 1): "it broke"},
    )


def test_the_metrics_are_those_of_the_papers():
    row = {row.method: row for row in standings(comparison().results)}["replay"]
    found = {name: spread.mean for name, spread in row.metrics.items()}
    assert found == pytest.approx(
        {
            "acc": 0.75, "bwt_gem": -0.2, "fwt_gem": 0.1, "forgetting_since_learned": 0.2, "learning_accuracy": 0.85,
            "plasticity": 0.65,
        }
    )  # fmt: skip


def test_references_stand_first_and_methods_by_accuracy():
    assert [row.method for row in standings(comparison().results)] == [MULTI_TASK, ZERO_SHOT, "replay", "finetune"]


def test_a_reference_has_an_accuracy_and_no_forgetting():
    assert set(standings([reference(MULTI_TASK, 0.95)])[0].metrics) == {"acc"}


def test_orders_are_averaged_with_their_deviation():
    (row,) = standings([result("replay", 0.7), result("replay", 0.5, order=2)])
    spread = row.metrics["forgetting_since_learned"]
    assert (spread.mean, spread.deviation) == pytest.approx((0.3, 0.1))


def test_costs_are_of_whole_trainings_and_energy_of_one_order():
    (row,) = standings([result("replay", 0.7), result("replay", 0.5, order=2)])
    assert row.tokens_per_second == 50.0 and row.energy_kwh == pytest.approx(0.002)


def test_energy_that_was_not_estimated_is_no_zero():
    (row,) = standings([result("replay", 0.7, energy=None)])
    assert row.energy_kwh is None


def test_the_best_forgets_least_among_those_that_learn_as_well():
    lazy = RunResult(
        method="l2", order=1, tasks=("a", "b"), scores=((0.1, 0.2), (0.2, 0.2), (0.2, 0.2)), seconds=1.0,
        learned=(learned(),),
    )  # fmt: skip
    found = best(standings([*comparison().results, lazy]), "cit")
    assert found is not None and found.method == "replay" and found.ratio == pytest.approx(0.25)


def test_without_plain_training_there_is_no_best():
    assert best(standings([result("replay", 0.7)]), "cit") is None


def test_the_curve_is_accuracy_over_the_tasks_so_far():
    assert curve(comparison().results, "replay") == pytest.approx([0.9, 0.75])
    assert curve(comparison().results, MULTI_TASK) == []


def test_the_section_holds_command_rows_verdict_and_what_failed():
    text = report.section(comparison(), "python -m benchmarks.methods --quick", ["x.svg"])
    assert "`python -m benchmarks.methods --quick`" in text and "![x.svg](benchmarks/x.svg)" in text
    assert "| replay | 1 | 0.750 | -0.200 | 0.100 | 0.200 | 0.850 | 0.650 | 10 | 50 | 1.00 | 2.00 | 1.0 |" in text
    assert "`replay` forgets least: 0.200, 25% of `finetune`'s 0.800" in text
    assert "`ewc`, order 1: it broke" in text


def test_means_over_other_orders_than_plain_trainings_are_shown_and_not_ranked():
    found = comparison(result("finetune", 0.3, order=2))
    assert report.verdict(found) == "No method that learns as well forgets less than `finetune` (0.700)."
    text = report.section(found, "x", [])
    assert "| replay | 1 |" in text and "they learned other orders than `finetune`: `replay`." in text


def test_json_holds_the_matrices():
    found = json.loads(json.dumps(report.as_json(comparison(), "x")))
    assert found["runs"][3]["scores"][2] == [0.7, 0.8] and found["best"]["method"] == "replay"


def test_equal_results_draw_equal_plots(tmp_path):
    names, again = (plots.draw(comparison(), tmp_path / part) for part in ("a", "b"))
    assert len(names) == 2 and names == again
    for name in names:
        first, second = ((tmp_path / part / name).read_bytes() for part in ("a", "b"))
        assert first == second and b"<svg" in first


def test_a_section_is_replaced_where_it_stands_and_others_stay(tmp_path):
    page = tmp_path / "docs" / "benchmarks.md"
    pages.write_section("one", "## One\n\nold", page)
    pages.write_section("two", "## Two", page)
    pages.write_section("one", "## One\n\nnew", page)
    text = page.read_text()
    assert text.index("## One") < text.index("## Two") and "new" in text and "old" not in text
    assert text.startswith("# Benchmarks") and text.count("begin one") == 1
