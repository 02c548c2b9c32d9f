"""Promises of jobs: asked for at every turn, done once, tried again with back-off, given up with a name."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from agent.store import jobs
from agent.work import workers
from agent.work.jobs import JobFailed, JobRunner
from learners.job import Failure, JobRequest, Progress, Usage

IDENTITY = workers.Identity(4242, 1.0)
USAGE = Usage(wall_seconds=1.0, cpu_seconds=1.0, peak_memory_bytes=1)


class Spec(BaseModel):
    word: str = "hello"


class Processes:
    """Stands in for `agent.work.workers`: a scripted fate per look, and a count of launches."""

    def __init__(self, monkeypatch, *fates):
        self.fates = list(fates)
        self.launched = 0
        self.stopped = []
        self.broken = None
        monkeypatch.setattr(workers, "launch", self.launch)
        monkeypatch.setattr(workers, "inspect", self.inspect)
        monkeypatch.setattr(workers, "enforce", lambda *_: self.broken)
        monkeypatch.setattr(workers, "stop", lambda identity, grace_seconds: self.stopped.append(identity))
        monkeypatch.setattr(workers, "alive", lambda _: True)

    def launch(self, *_):
        self.launched += 1
        return IDENTITY

    def inspect(self, *_):
        return self.fates.pop(0) if self.fates else workers.Running(None)


@pytest.fixture
def runner(operated):
    no_delay = operated.config.model_copy(
        update={"limits": operated.config.limits.model_copy(update={"backoff_seconds": 0.0})}
    )
    return JobRunner(operated.layout, no_delay, operated.store)


def ask(runner):
    return runner.ensure("sweep-1", "monitors", "measure", lambda _: Spec(), cycle=None, step="sweep")


def failed(reason="crashed"):
    return workers.Failed(Failure(reason=reason, message="planted"))


def row(runner):
    with runner.store.read() as tx:
        return jobs.get(tx, "sweep-1")


def test_a_finished_job_answers_and_is_never_run_again(runner, monkeypatch):
    processes = Processes(monkeypatch, workers.Absent(), workers.Finished({"n": 1}, USAGE))
    assert ask(runner) is None
    assert ask(runner) == {"n": 1}
    assert ask(runner) == {"n": 1}
    assert processes.launched == 1


def test_the_request_is_written_once_and_before_the_worker_starts(runner, monkeypatch):
    Processes(monkeypatch, workers.Absent())
    ask(runner)
    assert '"hello"' in (runner.layout.job("sweep-1") / "job.json").read_text()


def test_limits_that_were_raised_hold_for_the_next_attempt_at_the_same_request(runner, monkeypatch):
    Processes(monkeypatch, workers.Absent())
    ask(runner)
    written = runner.layout.job("sweep-1") / "job.json"
    before = JobRequest.model_validate_json(written.read_bytes())
    more = runner.config.limits.model_copy(update={"memory_bytes": 2 * runner.config.limits.memory_bytes})
    reborn = JobRunner(runner.layout, runner.config.model_copy(update={"limits": more}), runner.store)
    reborn.ensure("sweep-1", "monitors", "measure", lambda _: Spec(word="other"), cycle=None, step="sweep")
    after = JobRequest.model_validate_json(written.read_bytes())
    assert (after.limits.memory_bytes, after.spec) == (2 * before.limits.memory_bytes, before.spec)


def test_a_failed_attempt_is_repeated_until_the_limit_and_then_named(runner, monkeypatch):
    fates = [workers.Absent()]
    for _ in range(3):
        fates += [failed(), workers.Absent()]
    processes = Processes(monkeypatch, *fates)
    with pytest.raises(JobFailed, match="planted") as given_up:
        for _ in range(20):
            ask(runner)
    assert processes.launched == 3
    assert given_up.value.failure.reason == "crashed"


@pytest.mark.parametrize("reason", ["diverged", "invalid_input"])
def test_a_failure_that_would_come_again_is_not_repeated(runner, monkeypatch, reason):
    processes = Processes(monkeypatch, workers.Absent(), failed(reason), workers.Absent())
    with pytest.raises(JobFailed, match=reason):
        for _ in range(5):
            ask(runner)
    assert processes.launched == 1


def test_back_off_delays_the_next_attempt(operated, monkeypatch):
    runner = JobRunner(operated.layout, operated.config, operated.store)
    processes = Processes(monkeypatch, workers.Absent(), failed(), workers.Absent(), workers.Absent())
    for _ in range(4):
        ask(runner)
    assert processes.launched == 1
    assert row(runner).not_before is not None


def test_a_worker_over_its_limits_is_stopped_and_counts_as_failed(runner, monkeypatch):
    processes = Processes(monkeypatch, workers.Absent(), workers.Running(None))
    processes.broken = Failure(reason="timed_out", message="over limits.wall_seconds")
    ask(runner)
    ask(runner)
    assert processes.stopped == [IDENTITY]
    assert (row(runner).failed_attempts, row(runner).reason) == (1, "timed_out")


def test_a_result_that_an_earlier_daemon_never_saw_is_adopted(runner, monkeypatch):
    processes = Processes(monkeypatch, workers.Finished({"n": 2}, USAGE))
    assert ask(runner) == {"n": 2}
    assert processes.launched == 0


def test_a_live_worker_of_an_earlier_daemon_is_ended_and_not_counted(runner, monkeypatch):
    processes = Processes(monkeypatch, workers.Absent())
    ask(runner)
    reborn = JobRunner(runner.layout, runner.config, runner.store)
    ask(reborn)
    assert processes.stopped == [IDENTITY]
    assert row(runner).failed_attempts == 0
    assert processes.launched == 2


def test_stopping_with_the_daemon_is_no_failed_attempt(runner, monkeypatch):
    processes = Processes(monkeypatch, workers.Absent())
    ask(runner)
    processes.fates = [workers.Absent()]
    runner.stop_all(grace_seconds=0.0)
    assert not runner.busy
    assert row(runner).failed_attempts == 0


def test_progress_is_told_for_running_jobs_only(runner, monkeypatch):
    progress = Progress(done=1, total=2, message="half")
    Processes(monkeypatch, workers.Absent(), workers.Running(progress))
    assert runner.progress() == {}
    ask(runner)
    assert runner.progress() == {"sweep-1": progress}
