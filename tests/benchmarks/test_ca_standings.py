"""Promises of what stage ca tells beside its scores: margins, entropy, suites, and norms that were changed."""

import json

import pytest

from benchmarks.lab import Learned
from benchmarks.methods import plots, report
from benchmarks.methods.ca_standings import aligned
from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import ZERO_SHOT, Alignment, PairReading, RunResult, Setup
from benchmarks.methods.standings import standings

SETUP = Setup(stage="ca", stream="preferences", tasks=3, items=2, test_items=2)
TASKS = ("format", "concise", "detailed")
SCORES = ((0.5, 0.4, 0.6), (0.9, 0.5, 0.5), (0.8, 1.0, 0.0), (0.6, 0.1, 0.9))
MARGINS = ((1.0, 300.0, -300.0), (6.0, 300.0, -300.0), (5.0, 320.0, -320.0), (4.0, 290.0, -284.0))
BEFORE = {"general": 0.75, "instruction": 0.25, "safety": 0.5, "overrefusal": 1.0}
AFTER = {"general": 0.5, "instruction": 0.5, "safety": 0.75, "overrefusal": 0.875}
LEARNED = Learned(
    version="t1", tokens=100, steps=1, first_loss=1.0, last_loss=0.5, seconds=2.0, trainable_parameters=10,
    peak_memory_bytes=2**30,
)  # fmt: skip


def reading(score, margin):
    return PairReading(by_sum=1 - score, by_token=score, margin_nats=margin, entropy_nats=1.5)


def result(method="dpo", scores=SCORES, margins=MARGINS):
    pairs = tuple(tuple(map(reading, *row)) for row in zip(scores, margins, strict=True))
    beside = Alignment(pairs=pairs, before=BEFORE, after=AFTER)
    return RunResult(
        method=method, order=1, tasks=TASKS, scores=scores, learned=(LEARNED,) * 3, seconds=1.0, alignment=beside
    )


def bare():
    blank = (None,) * 3
    pairs = tuple(map(reading, SCORES[0], MARGINS[0]))
    beside = Alignment(pairs=(pairs, blank, blank, pairs), before=BEFORE, after=BEFORE)
    scores = (SCORES[0], blank, blank, SCORES[0])
    return RunResult(method=ZERO_SHOT, order=1, tasks=TASKS, scores=scores, seconds=1.0, alignment=beside)


def means(one):
    (row,) = aligned([one])
    return {name: spread.mean for name, spread in row.readings.items()}


def test_margins_are_over_the_parent_and_over_the_base():
    found = means(result())
    assert found["margin_over_parent"] == pytest.approx((5.0 + 20.0 + 36.0) / 3)
    assert found["greatest_margin"] == pytest.approx(16.0)  # of detailed; what concise gained is asked for no more


def test_a_margin_that_grew_too_far_is_marked_as_a_collapse():
    wide = (*MARGINS[:3], (30.0, 290.0, -284.0))
    (calm,), (collapsed,) = aligned([result()]), aligned([result(margins=wide)])
    assert not calm.collapsed and collapsed.collapsed
    assert "| 29.0* |" in section(result(margins=wide)) and "*" not in section(result()).split("|---")[-1]


def section(*results):
    return report.section(Comparison(SETUP, list(results)), "x", [])


def test_suites_tell_what_else_changed_with_the_published_signs():
    found = means(result())
    wanted = {"gad": -0.25, "ifd": 0.25, "sd": 0.25, "overrefusal": 0.125}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_a_change_of_mind_is_told_apart():
    found = means(result())
    wanted = {"old_norm": 1.0, "adoption": 0.9, "residual": 0.1, "retention": 0.75}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_what_a_revision_loses_is_no_forgetting():
    (row,) = standings([result()])
    found = {name: spread.mean for name, spread in row.metrics.items()}
    assert found["forgetting_since_learned"] == pytest.approx(0.3)  # of format alone: concise fell by 0.9
    assert found["acc"] == pytest.approx((0.6 + 0.9) / 2) and found["learning_accuracy"] == pytest.approx(0.9)


def test_a_norm_that_nothing_revises_counts_like_every_task():
    one = result().model_copy(update={"tasks": ("format", "concise", "safe")})
    (row,) = standings([one])
    assert row.metrics["forgetting_since_learned"].mean == pytest.approx((0.3 + 0.9) / 2)
    assert not {"adoption", "residual", "retention", "old_norm"} & means(one).keys()


def test_the_base_model_has_an_entropy_and_no_margin_over_a_parent():
    found = means(bare())
    assert found["entropy"] == 1.5 and found["sd"] == 0.0 and "margin_over_parent" not in found


def test_the_section_has_the_second_table_the_change_and_the_matrix():
    text = section(bare(), result())
    assert (
        "| dpo | 0.250 | 20.3 | 16.0 | 1.500 | -0.250 | 0.250 | 0.250 | 0.125 | 1.000 | 0.900 | 0.100 | 0.750 |" in text
    )
    assert "`detailed` revises `concise`" in text and "| after concise | 0.80 | 1.00 | 0.00 |" in text


def test_what_was_stored_before_there_were_readings_is_told_as_before():
    old = json.loads(result().model_dump_json(exclude={"alignment"}))
    loaded = RunResult.model_validate(old)
    assert loaded.alignment is None and aligned([loaded]) == []
    assert len(report.tables(Comparison(SETUP, [loaded]))) == 1 and "GAD" not in section(loaded)


def test_the_terminal_gets_a_second_table_and_json_the_same_numbers():
    found = Comparison(SETUP, [bare(), result()])
    assert [grid.row_count for grid in report.tables(found)] == [2, 2]
    told = json.loads(json.dumps(report.as_json(found, "x")))["alignment"]
    assert told[1]["readings"]["residual"]["mean"] == pytest.approx(0.1) and told[1]["collapsed"] is False


def test_the_margins_are_drawn(tmp_path):
    names = plots.draw(Comparison(SETUP, [bare(), result()]), tmp_path)
    assert names[2].endswith("-margins.svg") and b"<svg" in (tmp_path / names[2]).read_bytes()
