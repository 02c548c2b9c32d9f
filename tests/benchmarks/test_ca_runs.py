"""Promises of a run of stage ca: pairs are read after every update, and the base model once for all runs."""

import pytest

from benchmarks.lab import Lab
from benchmarks.methods import alignment, one_run, pair_readings
from benchmarks.methods.setup import MULTI_TASK, ZERO_SHOT, Run, Setup

SETUP = Setup(
    stage="ca", stream="preferences", tasks=3, items=6, test_items=3,
    settings={"epochs": 12, "learning_rate": 3e-3, "beta": 0.1},
)  # fmt: skip


BRIEF = SETUP.model_copy(update={"settings": {**SETUP.settings, "epochs": 1}})
"""What is measured and what is trained on does not depend on how much is learned."""


@pytest.fixture
def bare(shared, base, tmp_path):
    return run(base, tmp_path, ZERO_SHOT)


def run(base, folder, method, zero_shot=None, setup=BRIEF):
    asked = Run(setup=setup, method=method, order=1, base=base, zero_shot=zero_shot)
    return one_run.run(asked, folder / f"{method}-order1")


@pytest.mark.slow
def test_a_model_changes_its_mind_and_is_read_after_every_update(bare, base, tmp_path):
    result = run(base, tmp_path, "dpo", setup=SETUP)
    assert result.tasks == ("format", "concise", "detailed") and len(result.alignment.pairs) == 4
    assert [[one.by_token for one in row] for row in result.alignment.pairs] == [list(row) for row in result.scores]
    concise = [row[1].margin_nats for row in result.alignment.pairs]
    assert concise[2] > concise[1] + 1.0 and concise[3] < concise[2] - 1.0
    assert set(result.alignment.before) == set(result.alignment.after) == set(alignment.SUITES)


@pytest.mark.slow
def test_the_base_model_is_read_from_the_run_that_measured_it(bare, base, tmp_path, monkeypatch):
    seen = []
    read, scores = pair_readings._read, Lab.scores
    monkeypatch.setattr(
        pair_readings, "_read", lambda lab, version, tasks: seen.append(version) or read(lab, version, tasks)
    )
    monkeypatch.setattr(
        Lab, "scores", lambda lab, version, suites: seen.append(version) or scores(lab, version, suites)
    )
    known = dict(zip(bare.tasks, bare.scores[0], strict=True))
    result = run(base, tmp_path, MULTI_TASK, known)
    assert seen == ["all", "all"] and result.alignment.pairs[0] == bare.alignment.pairs[0]
    assert result.alignment.before == bare.alignment.before == bare.alignment.after


@pytest.mark.slow
def test_the_upper_reference_is_not_trained_on_what_is_revised(bare, base, tmp_path, monkeypatch):
    trained = []
    learn = Lab.learn
    monkeypatch.setattr(Lab, "learn", lambda lab, *given: trained.extend(given[4]) or learn(lab, *given))
    run(base, tmp_path, MULTI_TASK)
    assert {record.source for record in trained} == {"format", "detailed"}
