"""Promise P2: a cycle survives kill -9 at any point. It ends, no step is done twice, and hashes hold (P1)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cycle import STEPS
from agent.store import deployment, events, jobs, versions
from agent.work import workers
from learners.durable import verify
from tests.e2e.world import LOOSE, examples

CRASHING_DAEMON = Path(__file__).parents[1] / "faults" / "crashing_daemon.py"


def finished_events(world):
    with world.context.store.read() as tx:
        return [event.subject for event in events.listing(tx, limit=10_000) if event.action == "job.finished"]


def assert_whole(world):
    """The serving version and every other one match the digests that the database holds."""
    with world.context.store.read() as tx:
        serving, known = deployment.current(tx).version, versions.listing(tx)
    assert serving in {version.id for version in known}
    for version in known:
        verify(world.layout.version(version.id), version.digest)


@pytest.fixture
def world(make_world):
    """A tiny world whose base model serves and whose first cycle has begun; the gate lets everything through."""
    world = make_world(**LOOSE)
    world.drop("examples.jsonl", examples())
    world.turn_until(world.states)
    return world


@pytest.mark.slow
def test_a_daemon_killed_at_every_step_boundary_ends_its_cycle_and_does_nothing_twice(world):
    world.close()  # its daemon makes way for those that crash
    plan = world.layout.root / "crash-plan.json"
    points = [f"{when}:{state}" for state in STEPS for when in ("before", "after")]
    plan.write_text(json.dumps(points))
    command = [sys.executable, str(CRASHING_DAEMON), str(world.layout.root)]
    run = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 0
    deaths = len(run.stdout.splitlines())
    world.open()
    left = json.loads(plan.read_text())
    assert deaths == len(points) - len(left)
    assert deaths >= 12, left
    (state,) = world.states().values()
    assert state in ("done", "rejected", "awaiting_approval")
    finished = finished_events(world)
    assert len(finished) == len(set(finished))
    assert_whole(world)


@pytest.mark.slow
def test_a_worker_killed_in_every_step_is_tried_again_and_its_cycle_ends(world):
    killed: set[str] = set()

    def kill_each_worker_once():
        with world.context.store.read() as tx:
            running = jobs.running(tx)
        for job in running:
            started = (world.layout.job(job.id) / "heartbeat").exists()
            if job.id not in killed and job.pid is not None and started:
                killed.add(job.id)
                os.kill(job.pid, signal.SIGKILL)
        return next(iter(world.states().values())) in ("done", "rejected", "awaiting_approval", "failed")

    world.turn_until(kill_each_worker_once)
    assert {f"c1-{step}" for step in ("diagnosing", "training", "measuring")} <= killed
    assert world.states()["c1"] != "failed"
    with world.context.store.read() as tx:
        attempts = {job_id: [a.outcome for a in jobs.attempts_of(tx, job_id)] for job_id in killed}
    assert all(outcomes == ["failed", "finished"] for outcomes in attempts.values()), attempts
    assert_whole(world)


@pytest.mark.slow
def test_a_worker_that_outlives_the_daemons_memory_of_it_is_not_run_twice(world):
    world.turn_until(lambda: world.context.jobs.busy)
    with world.context.store.read() as tx:
        (job,) = jobs.running(tx)
    world.open()  # a daemon that knows nothing of the worker but what the store says
    world.turn_until(lambda: world.states()["c1"] != "diagnosing")
    assert not workers.alive(workers.Identity(job.pid, job.start_time))
    assert finished_events(world).count(job.id) == 1


def environment():
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
