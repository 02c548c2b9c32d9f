"""agent.work.workers and agent.root.processes: start, look, hold to limits, end."""

import importlib.util
import os
import signal
import subprocess
import time

import pytest

import learners.__main__
import monitors.__main__
from agent.root import processes
from agent.root.processes import Identity
from agent.work import job_folder, workers
from agent.work.workers import Absent, Failed, Finished, Running
from learners.job import Limits
from tests.faults.rehearsing import attempt, launch, prepare, running, settle, until, works


@pytest.fixture
def sleeper():
    """A process of our own that leads its own session, as a worker would."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_job_runs_in_its_own_group_and_ends_finished(tmp_path):
    state = attempt(prepare(tmp_path / "job", {}, Limits(threads=3)), Limits(threads=3))
    assert isinstance(state, Finished)
    assert state.result == {"value": 1.0, "attempts": 1, "threads": "3", "cwd": str(tmp_path / "job" / "work")}
    assert state.usage.cpu_seconds > 0


def test_a_working_job_is_running_with_its_last_progress(waiting):
    state = workers.inspect(*waiting, lease_seconds=20.0)
    assert isinstance(state, Running)
    assert state.progress is not None
    assert state.progress.message == "waiting"
    assert os.getpgid(waiting[1].pid) == waiting[1].pid != os.getpgid(0)


def test_a_torn_line_of_progress_is_passed_over(waiting):
    with (waiting[0] / "progress.jsonl").open("a") as file:
        file.write('{"done": 1, "tot')
    assert job_folder.last_progress(waiting[0]).message == "waiting"


def test_a_folder_that_nobody_worked_on_is_absent(tmp_path):
    assert workers.inspect(prepare(tmp_path / "job", {}), None, 5.0) == Absent()


def test_a_stopped_worker_is_absent_and_goes_on_from_its_work(waiting):
    folder, identity = waiting
    workers.stop(identity, grace_seconds=10.0)
    assert workers.inspect(folder, identity, 5.0) == Absent()
    assert not (folder / "failure.json").exists()
    prepare(folder, {"act": "answer"})
    assert attempt(folder).result["attempts"] == 2


def test_a_request_to_stop_does_not_wait(waiting):
    workers.ask_to_stop(waiting[1])
    assert settle(*waiting) == Absent()


def test_a_worker_that_ignores_the_request_is_killed_after_the_grace(tmp_path):
    folder = prepare(tmp_path / "job", {"act": "stubborn"})
    identity = launch(folder)
    works(folder, identity)
    began = time.monotonic()
    workers.stop(identity, grace_seconds=0.3)
    assert 0.3 <= time.monotonic() - began < 3.0
    assert not running(identity.pid)
    assert workers.inspect(folder, identity, 5.0) == Absent()


def test_every_attempt_has_a_header_in_the_log_and_only_the_last_is_read(tmp_path):
    folder = prepare(tmp_path / "job", {"act": "die", "signal": 11, "last_words": "CUDA out of memory"})
    assert attempt(folder).failure.reason == "out_of_memory"
    prepare(folder, {"act": "leave", "code": 3})
    assert attempt(folder).failure.reason == "crashed"
    assert (folder / "worker.log").read_text().count(job_folder.ATTEMPT_HEADER) == 2


def test_the_failure_of_the_last_attempt_is_not_the_next_ones(tmp_path):
    folder = prepare(tmp_path / "job", {"act": "raise", "what": "diverged"})
    assert attempt(folder).failure.reason == "diverged"
    prepare(folder, {"act": "die", "signal": int(signal.SIGKILL)})
    assert attempt(folder).failure.reason == "killed"


def test_a_failure_found_by_the_supervisor_is_still_known_after_its_restart(tmp_path):
    folder = prepare(tmp_path / "job", {"act": "leave", "code": 3})
    found = attempt(folder)
    assert workers.inspect(folder, None, 5.0) == found
    assert "exit code 3" in found.failure.message


def test_a_damaged_result_is_a_failure_and_not_a_result(tmp_path):
    folder = prepare(tmp_path / "job", {})
    attempt(folder)
    (folder / "output" / "payload.bin").write_bytes(b"tampere")
    state = workers.inspect(folder, None, 5.0)
    assert isinstance(state, Failed)
    assert "payload.bin" in state.failure.message


def test_nothing_in_the_current_folder_can_pose_as_a_module(tmp_path):
    folder = prepare(tmp_path / "job", {})
    (folder / "work").mkdir()
    (folder / "work" / "pydantic.py").write_text("raise SystemExit('taken over')")
    assert isinstance(attempt(folder), Finished)


def test_a_process_is_itself_and_no_other_with_its_number(sleeper):
    identity = processes.identify(sleeper.pid)
    assert workers.alive(identity)
    assert not workers.alive(Identity(identity.pid, identity.start_time - 1))


def test_an_ended_process_is_not_alive_before_it_is_waited_for(sleeper):
    identity = processes.identify(sleeper.pid)
    sleeper.kill()
    assert until(lambda: not workers.alive(identity), seconds=5)


def test_a_stranger_with_a_reused_number_is_not_touched(tmp_path, sleeper):
    lost = Identity(sleeper.pid, processes.identify(sleeper.pid).start_time - 1)
    workers.stop(lost, grace_seconds=0.2)
    state = workers.inspect(prepare(tmp_path / "job", {}), lost, 5.0)
    assert isinstance(state, Failed)
    assert state.failure.reason == "killed"
    assert running(sleeper.pid)


def test_a_worker_within_its_limits_is_left_alone(waiting):
    assert workers.enforce(waiting[1], waiting[0], Limits()) is None
    assert workers.alive(waiting[1])


@pytest.mark.parametrize("handler", [*learners.__main__.HANDLERS.values(), *monitors.__main__.HANDLERS.values()])
def test_every_handler_in_the_tables_exists(handler):
    module, _, function = handler.partition(":")
    source = importlib.util.find_spec(module).loader.get_source(module)
    assert f"\ndef {function}(spec: dict[str, Any], job: " in source


def test_a_real_worker_package_answers_a_wrong_request_with_a_named_failure(tmp_path):
    folder = prepare(tmp_path / "job", {}, kind="paint")
    state = settle(folder, workers.launch(folder, "monitors", Limits(threads=1), {}))
    assert state.failure.reason == "invalid_input"
    assert "choose, diagnose, intake, measure" in state.failure.message
