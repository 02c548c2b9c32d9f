"""Two operators in one incident: a bare command is about what stood when it was asked, whenever it is executed."""

from __future__ import annotations

from typing import Any

from agent.operators.commands import Answer, ask
from agent.root.lock import lock
from agent.store import commands, cycles
from tests.agent.operating import Operated

WAIT_CANDIDATE: tuple[cycles.CycleState, ...] = (
    "planning", "curating", "training", "measuring", "judging", "awaiting_approval",
)  # fmt: skip


def tell(world: Operated, verb: str, who: str = "ada", **args: Any) -> Answer:
    return ask(world.store, world.layout, world.config, verb, {"why": "because", **args}, who, wait_seconds=2.0)


def kept(world: Operated, verb: str, who: str, **args: Any) -> int:
    """A command that is asked while another process holds the root; its row."""
    given = {"why": "because", **args}
    answer = ask(world.store, world.layout, world.config, verb, given, who, wait_seconds=0.0)
    return int(answer.data["command"])


def answer(world: Operated, row: int) -> commands.Command:
    with world.store.read() as tx:
        return commands.get(tx, row)


def test_two_who_roll_back_at_once_go_back_one_version(operated: Operated):
    for version, parent in (("v1", "v0"), ("v2", "v1")):
        operated.publish(version, parent)
        operated.serve(version)
    with lock(operated.layout):
        rows = [kept(operated, "rollback", who) for who in ("ada", "grace")]
    tell(operated, "pause")
    first, second = (answer(operated, row) for row in rows)
    assert operated.serving()[0] == "v1" and first.outcome == "applied"
    assert second.outcome == "refused" and "somebody moved it meanwhile" in (second.message or "")


def test_one_after_the_other_they_go_back_two(operated: Operated):
    for version, parent in (("v1", "v0"), ("v2", "v1")):
        operated.publish(version, parent)
        operated.serve(version)
    assert [tell(operated, "rollback", who).target for who in ("ada", "grace")] == ["v1", "v0"]


def test_an_approval_that_was_kept_is_not_given_to_the_next_cycle(operated: Operated):
    operated.cycle_in(*WAIT_CANDIDATE, resume="promoting")
    with lock(operated.layout):
        row = kept(operated, "approve", "ada")
        with operated.store.write() as tx:
            cycles.transition(tx, "c1", "awaiting_approval", "rejected", "grace", "no")
        second = operated.cycle_in(*WAIT_CANDIDATE, resume="promoting")
    tell(operated, "pause")
    assert answer(operated, row).outcome == "refused"
    with operated.store.read() as tx:
        assert cycles.get(tx, second).state == "awaiting_approval"


def test_the_same_key_is_the_same_command_though_things_stand_otherwise_now(operated: Operated):
    operated.publish("v1", "v0")
    operated.serve("v1")
    said = [
        ask(operated.store, operated.layout, operated.config, "rollback", {"why": "x"}, "ada", key="one")
        for _ in range(2)
    ]
    assert said[0] == said[1] and operated.serving() == ("v0", 3)
