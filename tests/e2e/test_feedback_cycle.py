"""Feedback becomes preference data, end to end: a log of thumbs in the inbox, a cycle of kto, and a measured margin."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import pytest

from agent.store import Session, intakes, measurements, plans, verdicts
from tests.e2e.world import LOOSE, World
from tests.tiny import KNOWN


def log() -> list[dict[str, object]]:
    """Unpaired reactions, one a prompt: "Yes" is liked, what the model says today is not; and one that says nothing."""
    asked = [
        (f"{question} Say it {word}.", answer)
        for question, answer in list(KNOWN.items())[12:]
        for word in ("now", "later", "soon")
    ]
    liked = [{"prompt": prompt, "answer": "Yes", "thumb": "up", "user": "u1"} for prompt, _ in asked[::2]]
    disliked = [{"prompt": prompt, "answer": answer, "thumb": -1, "group": "support"} for prompt, answer in asked[1::2]]
    return [*liked, *disliked, {"prompt": "Who?", "answer": "Me", "thumb": 3}]


def held_out(tx: Session, version: str) -> list[measurements.Measurement]:
    """What a version scored on the judged answers that training never saw."""
    return [row for row in measurements.of(tx, version) if row.suite == "c1-target"]


@pytest.mark.slow
def test_thumbs_on_logged_answers_become_a_version_that_prefers_what_people_liked(make_world: Callable[..., World]):
    """Measured: the mean margin of the held-out answers rises from -1.6 to 4.5 nats, their score from 0.30 to 0.53."""
    world = make_world(**LOOSE, gate__recheck=False, training__ca__learning_rate=3e-3, training__ca__epochs=6)
    world.drop("log.jsonl", log())
    world.turn_until(lambda: world.states().get("c1") in ("done", "rejected", "failed", "no_action"))
    assert world.states()["c1"] == "done", world.cycle("c1").reason
    with world.context.store.read() as tx:
        plan, verdict, counts = plans.get(tx, "c1").plan, verdicts.get(tx, "c1"), intakes.accounting(tx)["inbox"]
        before, after = held_out(tx, "v0"), held_out(tx, "v1")
    assert (counts.read, counts.kept, counts.quarantined) == (25, 24, 1)
    assert (plan["stage"], plan["method"], len(plan["records"])) == ("ca", "kto", 12)
    assert len(before) == len(after) == 12
    assert mean(row.margin or 0.0 for row in after) > mean(row.margin or 0.0 for row in before) + 3
    assert verdict is not None and verdict.verdict["target_after"] > verdict.verdict["target_before"] + 0.1
