"""Jobs that nobody asks for: they are held to their limits, their rows and folders do not stay for ever."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent.store import commands, cycles, events, intakes, jobs
from agent.work import workers
from agent.work.jobs import JobRunner
from learners.durable import write_manifest
from learners.job import Failure, Usage
from tests.agent.operating import Operated

IDENTITY = workers.Identity(4242, 1.0)


class Spec(BaseModel):
    """An order without content."""


class Processes:
    """Stands in for the processes: one runs until it is stopped or `broken` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken: Failure | None = None
        self.stopped: list[workers.Identity] = []
        self.launched = 0
        monkeypatch.setattr(workers, "launch", self.launch)
        monkeypatch.setattr(workers, "inspect", self.inspect)
        monkeypatch.setattr(workers, "enforce", lambda *_: self.broken)
        monkeypatch.setattr(workers, "stop", lambda identity, grace_seconds: self.stopped.append(identity))
        monkeypatch.setattr(workers, "alive", lambda _: IDENTITY not in self.stopped)

    def launch(self, *_: object) -> workers.Identity:
        """Count it."""
        self.launched += 1
        return IDENTITY

    def inspect(self, _: Path, identity: workers.Identity | None, __: float) -> workers.State:
        """Running once it was launched."""
        return workers.Running(None) if identity else workers.Absent()


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Processes that do not exist."""
    return Processes(monkeypatch)


def runner_of(world: Operated) -> JobRunner:
    return JobRunner(world.layout, world.config, world.store)


def ask(runner: JobRunner, job_id: str, cycle: str | None) -> object:
    return runner.ensure(job_id, "monitors", "measure", lambda _: Spec(), cycle=cycle, step="test")


def row(world: Operated, job_id: str) -> jobs.Job:
    with world.store.read() as tx:
        return jobs.get(tx, job_id)


def test_a_worker_that_no_step_asks_for_is_still_held_to_its_limits(operated: Operated, processes: Processes):
    runner = runner_of(operated)
    ask(runner, "sweep-1", None)
    runner.watch_unasked()
    runner.watch_unasked()
    assert runner.busy and not processes.stopped
    processes.broken = Failure(reason="timed_out", message="over limits.wall_seconds")
    runner.watch_unasked()
    assert processes.stopped == [IDENTITY] and not runner.busy
    assert row(operated, "sweep-1").reason == "timed_out"


def test_a_job_that_was_asked_for_in_this_turn_is_not_looked_at_twice(operated: Operated, processes: Processes):
    runner = runner_of(operated)
    ask(runner, "sweep-1", None)
    ask(runner, "sweep-1", None)
    processes.broken = Failure(reason="timed_out", message="over limits.wall_seconds")
    runner.watch_unasked()
    assert runner.busy


def test_what_a_killed_daemon_ran_for_a_cycle_that_ended_since_runs_no_more(operated: Operated, processes: Processes):
    cycle = operated.cycle_in()
    ask(runner_of(operated), f"{cycle}-training", cycle)
    with operated.store.write() as tx:
        cycles.transition(tx, cycle, "diagnosing", "aborted", "ada", "no more")
    runner_of(operated).end_forsaken()
    assert processes.stopped == [IDENTITY]
    assert (row(operated, f"{cycle}-training").state, row(operated, f"{cycle}-training").failed_attempts) == ("open", 0)


def test_what_runs_for_a_cycle_under_way_goes_on(operated: Operated, processes: Processes):
    cycle = operated.cycle_in()
    ask(runner := runner_of(operated), f"{cycle}-training", cycle)
    runner.end_forsaken()
    assert processes.stopped == [] and row(operated, f"{cycle}-training").state == "running"


def test_the_folder_of_another_history_is_set_aside_and_its_result_is_not_taken(operated: Operated):
    """A backup was put back, so that the number of a job is given a second time."""
    folder = operated.layout.job("intake-1")
    (folder / "output").mkdir(parents=True)
    (folder / "output" / "result.json").write_text('{"of": "another history"}')
    (folder / "output" / "usage.json").write_text(
        Usage(wall_seconds=1.0, cpu_seconds=1.0, peak_memory_bytes=1).model_dump_json()
    )
    write_manifest(folder / "output", at=folder / "manifest.json")
    runner = runner_of(operated)
    with operated.store.write() as tx:
        runner.open(tx, "intake-1", "monitors", "intake", cycle=None, step="intake")
    assert not folder.exists()
    (aside,) = operated.layout.jobs.glob("aside-*")
    assert (aside / "output" / "result.json").exists()
    with operated.store.read() as tx:
        said = [event for event in events.listing(tx, "intake-1") if event.action == "job.folder_set_aside"]
    assert aside.name in said[0].why


def test_the_folder_of_a_job_that_is_known_stays(operated: Operated, processes: Processes):
    ask(runner_of(operated), "sweep-1", None)
    ask(runner_of(operated), "sweep-1", None)
    assert operated.layout.job("sweep-1").exists() and not list(operated.layout.jobs.glob("aside-*"))


def test_folders_of_jobs_that_were_given_up_are_disposable_once_they_are_answered(operated: Operated):
    with operated.store.write() as tx:
        intakes.claim(tx, "inbox", [])
        sweep = commands.submit(tx, "probe_run", {}, "ada")
        ids = ["intake-1", f"sweep-{sweep.id}"]
        for job_id, step in zip(ids, ("intake", "sweep"), strict=True):
            jobs.open(tx, job_id, None, step, "x", "monitors")
        assert jobs.disposable(tx, ids, keep=0) == []
        intakes.fail(tx, 1, "planted")
        commands.answer(tx, sweep.id, "refused", "planted")
        assert set(jobs.disposable(tx, ids, keep=0)) == set(ids)


def test_a_clock_that_was_set_back_does_not_prolong_a_back_off(operated: Operated, processes: Processes):
    runner = runner_of(operated)
    ask(runner, "sweep-1", None)
    processes.broken = Failure(reason="crashed", message="planted")
    runner.watch_unasked()
    runner.watch_unasked()
    processes.broken = None
    tomorrow = time.time() + 86_400
    with operated.store.write() as tx:
        jobs._change(tx, "sweep-1", not_before=tomorrow)
    ask(runner, "sweep-1", None)
    assert processes.launched == 2
