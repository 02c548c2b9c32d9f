"""Promises of calendar times: a clock that submits command rows, and nothing that is unpickled."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.jobstores.memory import MemoryJobStore

from agent import calendar
from agent.store import commands, cycles
from tests.agent.fake_jobs import Scene
from tests.agent.operating import Operated


@pytest.fixture
def scene(operated: Operated) -> Scene:
    """A root with both calendar times set."""
    scene = Scene(operated)
    scene.configure(cycle={"cron": "0 3 * * *"}, probes={"sweep_cron": "0 4 * * *"})
    return scene


@pytest.fixture
def scheduler(scene: Scene) -> Iterator[Any]:
    """The running scheduler."""
    started = calendar.start(scene.context)
    yield started
    started.shutdown(wait=True)


def run(job: Any) -> None:
    """Do what the scheduler does when the time has come."""
    job.func(*job.args)


def pending(scene: Scene) -> list[tuple[str, str]]:
    with scene.world.store.read() as tx:
        return [(row.verb, row.who) for row in commands.pending(tx)]


def test_each_time_only_submits_its_command(scene: Scene, scheduler: Any):
    for job in scheduler.get_jobs():
        run(job)
    assert sorted(pending(scene)) == [("cycle_run", "calendar"), ("probe_run", "calendar")]
    with scene.world.store.read() as tx:
        assert cycles.active(tx) is None


def test_times_that_nobody_takes_up_do_not_pile_up(scene: Scene, scheduler: Any):
    for _ in range(3):
        run(scheduler.get_job("probe_run"))
    assert pending(scene) == [("probe_run", "calendar")]


def test_the_schedulers_own_thread_submits_when_the_time_has_come(scene: Scene, scheduler: Any):
    scheduler.modify_job("probe_run", next_run_time=datetime.now(UTC))
    until = time.monotonic() + 10.0
    while not pending(scene) and time.monotonic() < until:
        time.sleep(0.02)
    assert pending(scene) == [("probe_run", "calendar")]


def test_nothing_is_kept_outside_memory(scheduler: Any):
    assert isinstance(scheduler._lookup_jobstore("default"), MemoryJobStore)
    assert "pickle" not in inspect.getsource(calendar).replace("unpickle", "")


def test_without_times_there_are_no_jobs(operated: Operated):
    scheduler = calendar.start(Scene(operated).context)
    assert scheduler.get_jobs() == []
    scheduler.shutdown(wait=True)


def test_a_month_begins_at_its_first_moment_in_utc():
    start, now = calendar.month_start(), datetime.now(UTC)
    assert (start.day, start.hour, start.minute, start.second, start.microsecond) == (1, 0, 0, 0, 0)
    assert start.tzinfo is UTC and timedelta(0) <= now - start < timedelta(days=31)
