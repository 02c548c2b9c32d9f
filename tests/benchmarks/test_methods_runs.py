"""Promises of `benchmarks.methods`' runs: the protocol, the references, restarting, and what a failure leaves."""

import fcntl
import json
import threading

import pytest

from benchmarks import lab
from benchmarks.methods import one_run, report, running
from benchmarks.methods.setup import MULTI_TASK, ZERO_SHOT, Run, RunResult, Setup
from learners.parts.memory import ReplayMemory
from monitors.metrics import ScoreMatrix, average_accuracy

SETUP = Setup(stage="cit", stream="short", items=2, test_items=2, settings={"epochs": 20, "learning_rate": 3e-3})


BRIEF = SETUP.model_copy(update={"tasks": 1, "settings": {"epochs": 1}})
"""For what a run leaves behind, whatever it learned."""


def run(base, folder, method="finetune", setup=SETUP.model_copy(update={"tasks": 2}), **given):
    return one_run.run(Run(setup=setup, method=method, order=1, base=base, **given), folder)


@pytest.mark.slow
def test_each_task_is_learned_from_the_version_before_with_its_memory(shared, base, tmp_path, monkeypatch):
    monkeypatch.setattr(lab.Lab, "clear", lambda self: None)
    result = run(base, tmp_path / "run", "replay")
    matrix = ScoreMatrix(result.scores)
    assert matrix[1, 1] > matrix[0, 1] and matrix[2, 2] > matrix[1, 2]
    remembered = ReplayMemory.read(tmp_path / "run" / "versions" / "t2" / "memory").items
    assert {"task1510", "sst2"} <= {item.record.source for item in remembered}


@pytest.mark.slow
def test_what_a_training_cost_is_kept(shared, base, tmp_path):
    (learned,) = run(base, tmp_path / "run", setup=BRIEF).learned
    assert learned.tokens > 0 and learned.seconds > 0 and learned.peak_memory_bytes > 2**20
    assert learned.trainable_parameters == 2 * 16 * (4 * (64 + 64) + 3 * (64 + 128))  # rank 16 on both layers


@pytest.mark.slow
def test_a_finished_run_frees_its_versions_and_keeps_its_scores(shared, base, tmp_path):
    result = run(base, tmp_path / "run", setup=BRIEF)
    assert not (tmp_path / "run" / "versions").exists() and base.is_dir()
    assert RunResult.model_validate_json((tmp_path / "run" / one_run.RESULT).read_bytes()) == result


@pytest.mark.slow
def test_a_run_that_was_cut_off_trains_nothing_twice(shared, base, tmp_path, monkeypatch):
    monkeypatch.setattr(lab.Lab, "clear", lambda self: None)
    first = run(base, tmp_path / "run", setup=BRIEF)
    monkeypatch.setattr(lab.Lab, "_train", _forbidden)
    assert run(base, tmp_path / "run", setup=BRIEF).scores == first.scores


def _forbidden(*_):
    raise AssertionError("trained again")


def test_the_base_model_alone_is_the_lower_reference(shared, base, tmp_path):
    result = run(base, tmp_path / "run", ZERO_SHOT)
    assert result.learned == () and result.scores[0] == result.scores[-1]
    assert average_accuracy(ScoreMatrix(result.scores)) < 0.5


@pytest.mark.slow
def test_all_tasks_at_once_are_the_upper_reference(shared, base, tmp_path):
    result = run(base, tmp_path / "run", MULTI_TASK)
    assert len(result.learned) == 1 and result.scores[1] == (None, None)
    assert average_accuracy(ScoreMatrix(result.scores)) > average_accuracy(ScoreMatrix([result.scores[0]] * 3))


def test_the_base_is_not_measured_again_where_its_scores_are_known(shared, base, tmp_path):
    known = {"task1510": 0.25, "sst2": 0.75}
    assert run(base, tmp_path / "run", ZERO_SHOT, zero_shot=known).scores[0] == (0.25, 0.75)


def compare(base, folder, names=(), fresh=False):
    said = []
    setup = SETUP.model_copy(update={"tasks": 1, "model": str(base)})
    found = running.compare(setup, names, 1, folder, threads=1, country="", fresh=fresh, say=said.append)
    return found, said


def stored(base, folder, method, score, **other):
    setup = SETUP.model_copy(update={"tasks": 1, "model": str(base), **other})
    place = folder / setup.name / f"{method}-order1"
    place.mkdir(parents=True)
    result = RunResult(method=method, order=1, tasks=("task1510",), scores=((0.0,), (score,)), seconds=1.0)
    (place / one_run.RESULT).write_text(result.model_dump_json())


@pytest.mark.slow
def test_stored_results_are_read_and_a_failing_run_is_named_and_does_not_stop_the_others(shared, base, tmp_path):
    stored(base, tmp_path, ZERO_SHOT, 0.0)
    stored(base, tmp_path, MULTI_TASK, 1.0)
    stored(base, tmp_path, "replay", 0.75)
    found, said = compare(base, tmp_path, ["no-such-method", "replay"])
    assert [result.scores[1][0] for result in found.results] == [0.0, 1.0, 0.75]
    assert "unknown method 'no-such-method'" in found.failed["no-such-method", 1]
    assert any("failed" in line for line in said)


def test_results_under_another_setup_are_not_taken_for_this_one():
    other = [{"items": 3}, {"settings": {"epochs": 1}}, {"seed": 1}, {"model": "/elsewhere"}]
    names = {SETUP.name, *(SETUP.model_copy(update=change).name for change in other)}
    assert len(names) == 1 + len(other)


def test_two_calls_never_run_the_same_at_once(tmp_path, monkeypatch):
    asked = Run(setup=SETUP, method="finetune", order=1, base=tmp_path)
    (tmp_path / "run.json").write_text(asked.model_dump_json())
    started = []
    monkeypatch.setattr(one_run, "run", lambda asked, folder: started.append(asked))
    with (tmp_path / "run.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(target=one_run.main, args=(tmp_path,))
        second.start()
        second.join(0.5)
        assert second.is_alive() and not started
        (tmp_path / one_run.RESULT).write_text("{}")
    second.join(30)
    assert not second.is_alive() and not started
    (tmp_path / one_run.RESULT).unlink()
    one_run.main(tmp_path)
    assert started == [asked]


def test_a_setting_of_one_method_reaches_no_other():
    setup = SETUP.model_copy(update={"settings": {"epochs": 2, "ppo.answers": 4, "cppo.answers": 6, "ppo.epochs": 1}})
    assert setup.settings_of("ppo") == {"epochs": 1, "answers": 4}
    assert setup.settings_of("cppo") == {"epochs": 2, "answers": 6} and setup.settings_of("dpo") == {"epochs": 2}
    assert "settings of every method: epochs 2, ppo.answers 4, " in report.described(setup)


@pytest.mark.slow
def test_the_command_runs_a_method_in_its_own_process_and_answers_in_json(shared, base, tmp_path):
    import subprocess
    import sys

    for reference, score in ((ZERO_SHOT, 0.25), (MULTI_TASK, 0.75)):
        stored(base, tmp_path / "results", reference, score, settings={"epochs": 1})
    options = ["--methods", "finetune", "--stream", "short", "--tasks", "1", "--orders", "1", "--items", "2"]
    options += ["--test-items", "2"]
    options += ["--model", str(base), "--results", str(tmp_path / "results"), "--threads", "1", "--set", "epochs=1"]
    command = [sys.executable, "-m", "benchmarks.methods", *options, "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    (found,) = json.loads(answer.stdout)
    assert [row["method"] for row in found["methods"][2:]] == ["finetune"] and found["failed"] == []
    assert [run["seconds"] for run in found["runs"][:-1]] == [1.0, 1.0]  # the references are stored, and read
    assert found["runs"][-1]["learned"][0]["energy_kwh"] is None or found["runs"][-1]["learned"][0]["energy_kwh"] > 0
    assert len(list((tmp_path / "results").glob("*/methods-*.svg"))) == 2
