"""Promises of judged answers in a cycle: what stays apart is learned with its group, disapproval alone ends."""

from __future__ import annotations

from agent.operators.commands import ask
from agent.store import cycles, plans, pool
from agent.trigger import start_cycle
from learners.records import read_records
from tests.agent.steps.cycle_world import Play
from tests.thumbs import put_in, thumb

ASK = "May I say du?"
STATED = ["You answer the group de.", "You answer the group us."]


def test_what_stays_apart_is_asked_and_learned_with_its_group_stated(play: Play):
    world = play.world
    put_in(world.store, [thumb(ASK, "Sure.", True, "us"), thumb(ASK, "Sure.", False, "de"), thumb("Hm?", "Yes.", True)])
    assert ask(world.store, world.layout, world.config, "settle", {"target": ASK}, "ada").outcome == "applied"
    play.information_kind = "preference"
    play.configure(approval={"stages": ()})
    with world.store.write() as tx:
        assert start_cycle(tx, world.config, "operator", "ada", "test", 1)
    play.until("measuring")
    for job, name in (("c1-diagnosing", "records.jsonl"), ("c1-training", "data.jsonl")):
        read = list(read_records(world.layout.job(job) / name))
        turns = [turn["content"] for record in read for turn in record.content["prompt"] if turn["role"] == "system"]
        assert sorted(turns) == STATED and len(read) == 3


def test_disapproval_alone_ends_in_a_request_for_data_and_trains_nothing(play: Play):
    world = play.world
    ids = put_in(world.store, [thumb(f"{number}?", "No.", False) for number in range(8)])
    play.information_kind = "preference"
    with world.store.write() as tx:
        cycles.create(tx, "operator", "ada", "test", ids)
    ended = play.until("no_action")
    assert "all 8 judged answers are disapproved" in (ended.reason or "")
    assert not world.layout.job("c1-training").exists()
    with world.store.read() as tx:
        assert plans.get(tx, "c1").plan["action"] == "ask_for_data"
        assert {row.state for row in pool.get(tx, ids)} == {"set_aside"}
