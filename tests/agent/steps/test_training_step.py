"""Promises of training: exactly the planned records are learned, and only a whole folder becomes a version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent import cycle as loop
from agent.store import versions
from learners.durable import verify
from learners.job import Failure
from learners.records import read_records
from tests.agent.fake_jobs import BROKEN
from tests.agent.steps.cycle_world import Play


def test_held_out_records_are_never_in_the_training_data(play: Play):
    play.holding_out = 3
    play.until("measuring")
    spec = play.jobs.specs["c1-training"]
    asked = {record.id for record in read_records(play.jobs.specs["c1-diagnosing"].records)}
    learned = {record.id for record in read_records(spec.data)}
    assert len(learned) == 5 and len(asked - learned) == 3
    assert spec.held_out == ("a held-out sentence",)


def test_the_candidate_is_published_whole_and_registered_with_its_digest(play: Play):
    cycle = play.until("measuring")
    assert cycle.candidate == "v1"
    with play.world.store.read() as tx:
        row = versions.get(tx, "v1")
    verify(play.world.layout.version("v1"), row.digest)
    assert (row.state, row.parent, row.base, row.cycle) == ("candidate", "v0", "v0", "c1")


def test_a_daemon_killed_before_the_version_is_registered_registers_it_once(
    play: Play, monkeypatch: pytest.MonkeyPatch
):
    play.until("training")
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr("agent.steps.training.versions.register", interrupt)
        loop.advance(play.context)
    assert play.newest().candidate is None
    play.until("measuring")


def test_a_result_that_was_damaged_meanwhile_fails_the_cycle(play: Play):
    train = play.jobs.work["training"]
    assert not isinstance(train, Failure)

    def damaged(spec: Any, output: Path) -> Mapping[str, Any]:
        answer = train(spec, output)
        (output / "version" / "adapter" / "weights.txt").write_text("tampered")
        return answer

    play.jobs.work["training"] = damaged
    ended = play.until("failed")
    assert "weights.txt" in (ended.reason or "")
    assert not play.world.layout.version("v1").exists()


def test_a_training_that_is_given_up_fails_the_cycle_and_gives_its_records_back_once(play: Play):
    play.jobs.work["training"] = BROKEN
    assert "planted" in (play.until("failed").reason or "")
    assert play.records() == {"waiting"}
    play.begin()
    play.until("failed")
    assert play.records() == {"refused"}


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
