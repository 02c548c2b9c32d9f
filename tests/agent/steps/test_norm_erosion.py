"""Promises of erosion in the loop: a norm that every version loses a little of is noticed, and a person decides."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.steps import adoption
from agent.store import plans, verdicts
from monitors.probes.suites import write_suite
from tests.agent.steps.cycle_world import Play, suite
from tests.agent.steps.norm_world import approve, register

ITEMS = 40
SUITE = suite("norm-polite", "target", ITEMS)


def live(play: Play, followed: Sequence[int], learned: int | None = 0) -> None:
    """A line of serving versions v1, v2, ... that follow the norm on so many of forty items; one of them learned it."""
    register(play, "polite")
    write_suite(play.world.layout.suites / "norm-polite.jsonl", SUITE)
    for place, right in enumerate(followed):
        version, cycle = f"v{place + 1}", play.world.cycle_in("planning", "no_action")
        touched = [{"norm": "polite", "change": "add", "suite": "norm-polite"}] if place == learned else []
        with play.world.store.write() as tx:
            plans.save(tx, cycle, {"norms": touched}, "rules", "x")
        play.world.publish(version, f"v{place}", cycle)
        play.world.serve(version)
        play.world.measure(version, SUITE, [float(n < right) for n in range(ITEMS)])


def follow(play: Play, right: int) -> None:
    """The next candidates follow the norm on so many items."""
    play.failing = {f"norm-polite-{n}" for n in range(right, ITEMS)}


def row(play: Play) -> dict[str, object] | None:
    """What the gate found beside the version that adopted the norm."""
    with play.world.store.read() as tx:
        found = verdicts.get(tx, play.newest().id)
    assert found is not None
    return next((one for one in found.verdict["suites"] if one["against"] == "adopter"), None)


ERODING = (40, 39, 38, 37, 36, 35, 34, 33)


def test_a_norm_that_each_version_loses_a_little_of_is_held_with_its_numbers(play: Play):
    live(play, ERODING)
    follow(play, 32)
    held = play.until("awaiting_approval")
    assert held.resume_state == "promoting" and "norm-polite against the adopter: 1.00 -> 0.80" in (held.reason or "")
    assert "eroded since v1" in (held.reason or "")


def test_beside_the_parent_alone_nobody_would_see_it(play: Play, monkeypatch: pytest.MonkeyPatch):
    """The fault that the rule is for, planted."""
    monkeypatch.setattr(adoption, "adopters", lambda *_: [])
    live(play, ERODING)
    follow(play, 32)
    play.until("watching")


def test_what_a_person_lets_serve_is_what_later_versions_are_held_to(play: Play):
    live(play, ERODING)
    follow(play, 32)
    play.until("awaiting_approval")
    approve(play)
    play.until("done")
    follow(play, 31)
    play.begin(16)
    play.until("watching")
    assert row(play) is None  # the version that the person let serve is the parent, with which it is compared anyhow


def test_a_norm_that_was_learned_again_counts_from_then(play: Play):
    live(play, ERODING, learned=6)
    follow(play, 32)
    play.until("watching")
    found = row(play)
    assert found is not None and (found["before"], found["outcome"]) == (0.85, "pass")


def test_a_norm_that_nobody_learned_counts_from_what_served_when_it_came_into_force(play: Play):
    live(play, ERODING, learned=None)
    follow(play, 32)
    assert "eroded since v0" in (play.until("awaiting_approval").reason or "")


def test_versions_that_hold_a_norm_are_not_held(play: Play):
    live(play, (40, 39, 40, 38, 39))
    follow(play, 38)
    play.until("watching")
    found = row(play)
    assert found is not None and found["outcome"] == "pass"
