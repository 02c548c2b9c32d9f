"""Promises of the re-check: a bad second look rolls back exactly once and stops the loop; a good one ends the cycle."""

from __future__ import annotations

import pytest

from agent import cycle as loop
from agent.store import MoveRefused, deployment, verdicts, versions
from monitors.probes.suites import write_suite
from tests.agent.fake_jobs import BROKEN
from tests.agent.steps.cycle_world import Play, Scores, suite


def word(play: Play) -> str | None:
    with play.world.store.read() as tx:
        row = verdicts.get(tx, "c1", "watching")
    return row.outcome if row else None


def test_a_passed_re_check_ends_done_and_is_recorded(play: Play):
    play.until("done")
    assert (play.world.serving(), word(play)) == (("v1", 2), "promote")
    assert play.pauses() == [] and play.records() == {"learned"}


def test_a_failed_re_check_rolls_back_exactly_once_and_opens_the_breaker(play: Play):
    play.scores["my-general"] = Scores(again=0.0)
    ended = play.until("rolled_back")
    assert not loop.advance(play.context)
    assert play.world.serving() == ("v0", 3)
    assert word(play) == "reject" and "my-general fell from 1.00 to 0.00" in (ended.reason or "")
    (pause,) = play.pauses()
    assert pause.startswith("breaker: the re-check of v1 failed")


def test_the_records_of_a_rolled_back_version_are_refused(play: Play):
    play.scores["my-general"] = Scores(again=0.0)
    play.until("rolled_back")
    assert play.records() == {"refused"}


def test_a_rolled_back_version_is_not_promoted_again_by_the_gates_old_verdict(play: Play):
    play.scores["my-safety"] = Scores(again=0.0)
    play.until("rolled_back")
    with play.world.store.write() as tx, pytest.raises(MoveRefused, match="the verdict 'reject'"):
        deployment.move(tx, "v1", 3, "daemon", "the gate said promote", "promote")


def test_a_re_check_that_cannot_be_done_counts_as_failed(play: Play):
    play.jobs.work["watching"] = BROKEN
    ended = play.until("rolled_back")
    assert play.world.serving()[0] == "v0" and "planted" in (ended.reason or "")
    assert word(play) == "reject" and play.pauses()


def test_a_damaged_version_is_not_rolled_back_to_and_a_person_is_asked(play: Play):
    play.until("watching")
    (play.world.layout.version("v0") / "weights.txt").write_text("other weights")
    play.scores["my-general"] = Scores(again=0.0)
    assert loop.advance(play.context)
    (pause,) = play.pauses()
    assert pause.startswith("rollback: the re-check of v1 failed") and "v0 cannot serve again" in pause
    assert (play.world.serving(), play.newest().state) == (("v1", 2), "watching")
    with play.world.store.read() as tx:
        assert versions.get(tx, "v0").state == "damaged"


def test_engine_settings_that_changed_since_the_verdict_do_not_roll_back(play: Play):
    play.until("watching")
    play.configure(engine={"batch_tokens": 2 * play.context.config.engine.batch_tokens})
    play.until("done")
    assert play.world.serving() == ("v1", 2)


def test_a_suite_that_was_not_measured_again_rolls_back(play: Play):
    play.until("watching")
    play.jobs.work["watching"] = play.empty
    play.until("rolled_back")


def test_a_daemon_killed_during_the_roll_back_does_it_once(play: Play, monkeypatch: pytest.MonkeyPatch):
    play.scores["my-general"] = Scores(again=0.0)
    play.until("watching")
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr("agent.steps.watching.end", interrupt)
        loop.advance(play.context)
    assert play.world.serving() == ("v1", 2) and word(play) is None
    play.until("rolled_back")
    assert play.world.serving() == ("v0", 3)


def test_the_second_look_reads_the_suites_that_judged_not_what_an_operator_wrote_since(play: Play):
    play.until("watching")
    write_suite(play.world.layout.suites / "my-general.jsonl", suite("my-general", "general", items=20))
    play.until("done")


def test_a_candidate_that_a_person_took_back_is_not_moved_again(play: Play):
    play.until("watching")
    play.world.serve("v0", "rollback")
    play.until("rolled_back")
    assert play.world.serving() == ("v0", 3)
    assert play.pauses() == [] and play.records() == {"refused"}


def test_the_re_check_of_a_candidate_that_a_person_took_back_is_stopped(play: Play):
    ended: list[str] = []
    play.until("watching")
    del play.jobs.work["watching"]
    assert not loop.advance(play.context)
    play.jobs.abandon = lambda cycle, reason: ended.append(cycle)  # pyright: ignore[reportAttributeAccessIssue]
    play.world.serve("v0", "rollback")
    play.until("rolled_back")
    assert ended == ["c1"]


def test_without_a_re_check_the_cycle_ends_at_once(play: Play):
    play.configure(gate={"recheck": False})
    play.until("done")
    assert "c1-watching" not in play.jobs.specs


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
