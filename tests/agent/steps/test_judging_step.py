"""Promises of judging: each verdict leads where it must, and rests on the suites that were measured."""

from __future__ import annotations

import pytest

from agent.store import verdicts
from agent.store.verdicts import VerdictRow
from monitors.probes.suites import write_suite
from tests.agent.steps.cycle_world import Play, Scores, suite


def verdict(play: Play) -> VerdictRow | None:
    with play.world.store.read() as tx:
        return verdicts.get(tx, "c1")


def outcome(play: Play) -> str | None:
    row = verdict(play)
    return row.outcome if row else None


def test_a_candidate_that_wins_and_loses_nothing_is_promoted(play: Play):
    play.until("promoting")
    assert outcome(play) == "promote"


def test_a_clear_loss_rejects_and_its_records_are_refused(play: Play):
    play.scores["my-safety"] = Scores(after=0.0)
    ended = play.until("rejected")
    assert outcome(play) == "reject" and "my-safety" in (ended.reason or "")
    assert play.records() == {"refused"}
    assert play.world.serving() == ("v0", 1)


def test_what_cannot_be_judged_waits_for_a_person(play: Play):
    write_suite(play.world.layout.suites / "my-safety.jsonl", suite("my-safety", "safety", items=9))
    cycle = play.until("awaiting_approval")
    assert outcome(play) == "hold" and cycle.resume_state == "promoting"
    assert "my-safety" in (cycle.reason or "") and play.records() == {"claimed"}


@pytest.mark.parametrize("text", ["not a suite", ""])
def test_suites_are_judged_as_they_were_measured_whatever_became_of_the_files(play: Play, text: str):
    play.until("judging")
    for file in play.world.layout.suites.iterdir():
        file.write_text(text)
    play.until("promoting")


def test_a_target_of_the_operators_own_counts_among_the_targets(play: Play):
    write_suite(play.world.layout.suites / "mine.yaml", suite("mine", "target"))
    play.configure(probes={"suites": ("my-general", "my-instruction", "my-safety", "my-overrefusal", "mine")})
    play.scores |= {"mine": Scores(before=0.5, after=0.5)}
    play.until("promoting")
    row = verdict(play)
    assert row and (row.verdict["target_before"], row.verdict["target_after"]) == (0.25, 0.75)


def test_a_suite_that_the_worker_left_out_holds(play: Play):
    write_suite(play.world.layout.suites / "more.yaml", suite("more", "safety"))
    play.configure(probes={"suites": (*play.context.config.probes.suites, "more")})
    play.leaving_out = "more"
    assert "more" in (play.until("awaiting_approval").reason or "")


def test_bad_endings_in_a_row_open_the_breaker_with_the_reason_of_the_last(play: Play):
    play.scores["my-safety"] = Scores(after=0.0)
    for number, kind in enumerate(("text", "text", "text"), 1):
        assert play.pauses() == []
        play.begin(8 + number, kind)
        play.until("rejected")
    (pause,) = play.pauses()
    assert pause.startswith("breaker: 3 cycles in a row ended badly, the last one c3: reject")
