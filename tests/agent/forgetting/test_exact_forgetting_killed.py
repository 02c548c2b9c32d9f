"""Exact forgetting with a daemon and workers of their own: killed in every job, it ends at the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from agent.store import jobs
from agent.work import workers
from tests.agent.forgetting.real_world import CODES, FORGET, RealWorld, serving_tiny
from tests.agent.operating import Operated
from tests.learners.runs import CHATS, same, steps_taken

LONG: dict[str, Any] = {"full_weights": True, "epochs": 30, "batch_size": 8, "learning_rate": 3e-3}
THEN: dict[str, Any] = {"epochs": 60, "batch_size": 4, "learning_rate": 3e-4}
CHECKPOINT_STEPS = 5
_SECONDS = 1800.0


@pytest.fixture
def world(bare: Operated) -> Generator[RealWorld]:
    """`v1` has learned sixteen codes and `v2`, which serves, four answers; six codes are about to be forgotten."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    world = serving_tiny(bare)
    for records, settings in ((CODES, LONG), (CHATS, THEN)):
        world.learn("cit", "replay", records, **settings, checkpoint_steps=CHECKPOINT_STEPS)
    assert world.forget(*FORGET, exact=True).outcome == "applied"
    assert world.tell("approve").outcome == "applied"
    yield world
    torch.set_num_threads(threads)


@contextmanager
def daemon(world: RealWorld) -> Generator[None]:
    """The daemon of the world's root, until SIGKILL."""
    told = ("limits.threads=1", "limits.backoff_seconds=0.0", "energy.enabled=false")
    flags = [word for key in told for word in ("--set", key)]
    command = [sys.executable, "-m", "agent.cli", "--root", str(world.world.layout.root), "start", "--foreground"]
    process = subprocess.Popen([*command, *flags])
    try:
        yield
        assert process.poll() is None, "the daemon ended by itself"
    finally:
        process.kill()
        process.wait()


def until(reached: Callable[[], object]) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + _SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def in_the_middle(world: RealWorld, job_id: str) -> workers.Identity:
    """Wait until a job has trained on beyond its first checkpoint; its worker."""
    until(lambda: max(steps_taken(world.world.layout.job(job_id)), default=0) > CHECKPOINT_STEPS)
    with world.world.store.read() as tx:
        row = jobs.get(tx, job_id)
    assert row.pid is not None and row.start_time is not None, f"{job_id} is over already"
    return workers.Identity(row.pid, row.start_time)


@pytest.mark.slow
def test_a_replay_that_was_killed_in_every_job_ends_bit_for_bit_at_the_weights_of_one_that_was_not(world: RealWorld):
    first, second = "c3-training-1", "c3-training-2"
    with daemon(world):
        worker = in_the_middle(world, first)
    until(lambda: not workers.alive(worker))
    with daemon(world):
        os.kill(in_the_middle(world, second).pid, signal.SIGKILL)
        until(lambda: world.newest().state != "training")
    assert world.newest().state == "measuring", world.newest().reason
    with world.world.store.read() as tx:
        attempts = [[attempt.outcome for attempt in jobs.attempts_of(tx, job)] for job in (first, second)]
    assert attempts == [["stopped", "finished"], ["failed", "finished"]]
    assert all(steps_taken(world.world.layout.job(job)).count(1) == 1 for job in (first, second))
    undisturbed = world.beside("w1", "v0", "cit", CODES[6:], LONG)
    assert same(world.world.layout.version("v3"), undisturbed)
    assert same(world.world.layout.version("v4"), world.beside("w2", "w1", "cit", CHATS, THEN))
