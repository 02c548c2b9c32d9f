"""Promises of endings: records are settled by how the cycle ended, and bad endings in a row stop the loop."""

from __future__ import annotations

import pytest

from agent.context import DAEMON
from agent.steps.ending import Ending, end
from agent.store import control, lessons, versions
from tests.agent.steps.cycle_world import Play, Scores

ENDINGS: list[tuple[str, Ending, str]] = [
    ("watching", "done", "learned"),
    ("watching", "rolled_back", "refused"),
    ("watching", "failed", "learned"),
    ("watching", "aborted", "learned"),
    ("judging", "rejected", "refused"),
    ("training", "failed", "waiting"),
    ("training", "aborted", "waiting"),
    ("curating", "no_action", "set_aside"),
]


def finish(play: Play, ending: Ending) -> None:
    with play.world.store.write() as tx:
        end(tx, play.context.config, play.newest(), ending, DAEMON, "test")


@pytest.mark.parametrize(("state", "ending", "records"), ENDINGS, ids=[f"{s}-{e}" for s, e, _ in ENDINGS])
def test_records_are_settled_by_the_ending(play: Play, state: str, ending: Ending, records: str):
    play.until(state)
    finish(play, ending)
    assert play.records() == {records}


def test_an_ending_is_whole_or_absent(play: Play, monkeypatch: pytest.MonkeyPatch):
    play.until("judging")
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr("agent.steps.ending.write_card", interrupt)
        finish(play, "rejected")
    assert play.newest().state == "judging" and play.records() == {"claimed"}


def test_an_ending_leaves_a_lesson_and_a_card(play: Play):
    play.scores["my-safety"] = Scores(after=0.0)
    play.until("rejected")
    with play.world.store.read() as tx:
        (lesson,) = lessons.listing(tx)
        card = versions.get(tx, "v1").card or ""
    assert lesson.text.startswith("cpt with finetune ended rejected: reject: my-safety")
    assert "Verdict reject" in card


@pytest.mark.parametrize(("ending", "opens"), [("failed", True), ("aborted", False), ("no_action", False)])
def test_only_bad_endings_open_the_breaker(play: Play, ending: Ending, opens: bool):
    play.configure(cycle={"breaker_after": 2})
    for _ in range(2):
        play.begin(0)
        finish(play, ending)
    with play.world.store.read() as tx:
        assert [pause.code for pause in control.pauses(tx)] == (["breaker"] if opens else [])


def test_a_good_ending_in_between_starts_the_count_anew(play: Play):
    play.configure(cycle={"breaker_after": 2})
    for ending in ("failed", "done", "failed"):
        play.begin(8 if ending == "done" else 0)
        if ending == "done":
            play.until("watching")
        finish(play, ending)
    assert play.pauses() == []


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
