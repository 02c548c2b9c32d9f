"""Promises of promoting: only whole files serve, only against the parent they were judged with, in one transaction."""

from __future__ import annotations

import pytest

from agent import cycle as loop
from agent.serving_files import Found
from agent.steps.ending import end
from agent.store import cycles, decisions, deployment, versions
from monitors.probes.suites import write_suite
from tests.agent.steps.cycle_world import Play, suite


def state(play: Play, version: str) -> str:
    with play.world.store.read() as tx:
        return versions.get(tx, version).state


def test_the_gates_promotion_moves_the_deployment_once(play: Play):
    play.until("watching")
    assert play.world.serving() == ("v1", 2)
    assert state(play, "v1") == "kept"


def test_records_count_as_learned_only_once_the_re_check_is_passed(play: Play):
    play.until("watching")
    assert play.records() == {"claimed"}
    play.until("done")
    assert play.records() == {"learned"}


@pytest.mark.parametrize("damage", ["changed", "added", "gone"])
def test_a_damaged_candidate_is_marked_and_its_cycle_fails(play: Play, damage: str):
    play.until("promoting")
    weights = play.world.layout.version("v1") / "adapter" / "weights.txt"
    if damage == "gone":
        weights.unlink()
    else:
        (weights if damage == "changed" else weights.with_name("more.txt")).write_text("tampered")
    ended = play.until("failed")
    assert (state(play, "v1"), play.world.serving()) == ("damaged", ("v0", 1))
    assert ".txt" in (ended.reason or "")


def test_a_candidate_over_a_damaged_base_is_not_promoted(play: Play):
    play.until("promoting")
    (play.world.layout.version("v0") / "weights.txt").write_text("tampered")
    play.until("failed")
    assert play.world.serving() == ("v0", 1)
    assert state(play, "v0") == "kept"  # it serves: only a rollback can end that


def test_a_candidate_whose_parent_no_longer_serves_is_not_promoted(play: Play):
    play.until("promoting")
    play.world.publish("v9", "v0")
    play.world.serve("v9")
    ended = play.until("rejected")
    assert play.world.serving()[0] == "v9"
    assert "judged against v0, but v9 serves" in (ended.reason or "")


def test_a_cycle_can_be_aborted_while_the_files_of_its_candidate_are_read(play: Play, monkeypatch: pytest.MonkeyPatch):
    play.until("promoting")
    asked = iter([None, Found()])
    monkeypatch.setattr("agent.serving_files.Reader.ask", lambda *_: next(asked))
    assert not loop.advance(play.context)
    assert play.newest().state == "promoting"
    with play.world.store.write() as tx:
        end(tx, play.context.config, play.newest(), "aborted", "ada", "changed my mind")
    assert not loop.advance(play.context)
    assert (play.world.serving(), next(asked)) == (("v0", 1), Found())


def test_a_held_candidate_serves_in_the_name_of_who_approved(play: Play):
    write_suite(play.world.layout.suites / "my-safety.jsonl", suite("my-safety", "safety", items=9))
    play.until("awaiting_approval")
    with play.world.store.write() as tx:
        decisions.record(tx, "c1", "approve", "ada", "I read them", version="v1")
        cycles.transition(tx, "c1", "awaiting_approval", "promoting", "ada", "I read them")
    play.until("watching")
    with play.world.store.read() as tx:
        assert deployment.current(tx).who == "ada"


def test_a_promotion_that_is_interrupted_leaves_nothing_behind(play: Play, monkeypatch: pytest.MonkeyPatch):
    play.until("promoting")
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr("agent.steps.promoting.write_card", interrupt)
        loop.advance(play.context)
    assert play.world.serving() == ("v0", 1)
    play.until("watching")
    assert play.world.serving() == ("v1", 2)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
