"""The loop on a tiny model: real daemon turns, real workers, real SQLite."""

from __future__ import annotations

import pytest

from agent.operators import commands
from agent.store import control, decisions, deployment, intakes, plans, verdicts
from learners.durable import verify
from tests.e2e.world import LOOSE, documents, examples


@pytest.fixture
def world(make_world):
    """The tiny model serves, nothing else has happened."""
    return make_world()


def ended(world, cycle="c1"):
    return lambda: world.states().get(cycle) in ("done", "rejected", "failed", "no_action", "awaiting_approval")


def ask(world, verb, target=None):
    context = world.context
    context.jobs.stop_all(0.0)
    return commands.ask(context.store, context.layout, context.config, verb, {"target": target, "why": "test"}, "ana")


def end(world):
    """Turn until the cycle ends, with a person's word where the gate asks for one."""
    world.turn_until(ended(world))
    if world.states()["c1"] == "awaiting_approval":
        assert ask(world, "approve").outcome == "applied"
        world.turn_until(lambda: world.states()["c1"] in ("done", "failed"))
    return world.states()["c1"]


@pytest.mark.slow
def test_examples_become_a_version_that_serves_and_can_be_rolled_back(make_world, measured):
    world = make_world(measured, **LOOSE)
    assert end(world) == "done"
    with world.context.store.read() as tx:
        verdict = verdicts.get(tx, "c1")
        counts = intakes.accounting(tx)["inbox"]
    assert verdict is not None
    assert counts.read == counts.kept + counts.duplicate + counts.quarantined > 0
    assert world.serving() == "v1"
    assert ask(world, "rollback").outcome == "applied"
    assert world.serving() == "v0"


@pytest.mark.slow
def test_a_plan_that_needs_approval_waits_for_a_named_person_and_trains_nothing_before(make_world):
    world = make_world(approval__stages=["cit"])
    world.drop("examples.jsonl", examples())
    world.turn_until(ended(world))
    assert world.states()["c1"] == "awaiting_approval"
    assert not world.layout.job("c1-training").exists()
    assert ask(world, "reject").outcome == "applied"
    with world.context.store.read() as tx:
        (decision,) = decisions.of_cycle(tx, "c1")
        plan = plans.get(tx, "c1").plan
    assert (decision.who, decision.decision) == ("ana", "reject")
    assert plan["stage"] == "cit"
    assert world.states()["c1"] == "rejected"


@pytest.mark.slow
def test_a_damaged_candidate_is_never_promoted(make_world, measured):
    world = make_world(measured, **LOOSE)
    adapter = next(world.layout.version("v1").rglob("*.safetensors"))
    content = bytearray(adapter.read_bytes())
    content[-1] ^= 1
    adapter.chmod(0o600)
    adapter.write_bytes(bytes(content))
    assert end(world) == "failed"
    assert world.serving() == "v0"
    assert "sha256" in (world.cycle("c1").reason or "").lower() or "v1" in (world.cycle("c1").reason or "")


@pytest.mark.slow
def test_documents_are_diagnosed_by_probes_that_training_never_sees(world):
    world.drop("facts.jsonl", documents())
    world.turn_until(lambda: world.layout.job("c1-training").joinpath("job.json").exists() or ended(world)())
    with world.context.store.read() as tx:
        plan = plans.get(tx, "c1").plan
    assert plan["held_out"]
    assert all(
        any(city in sentence for city in ("Kelmar", "Vossel", "Lopez", "Arnau")) for sentence in plan["held_out"]
    )


def test_a_full_disk_pauses_with_the_reason_and_resumes_by_itself(world):
    world.daemon._housekeeping.watch_disk(free_bytes=10)
    with world.context.store.read() as tx:
        paused = control.paused(tx)
    assert paused is not None
    assert "limits.disk_reserve_bytes" in paused.reason
    world.daemon._housekeeping.watch_disk(free_bytes=2**40)
    with world.context.store.read() as tx:
        assert control.paused(tx) is None


def test_the_base_model_serves_as_v0_and_matches_its_digest(world):
    from agent.store import versions

    with world.context.store.read() as tx:
        assert deployment.current(tx).version == "v0"
        assert versions.anchor(tx).id == "v0"
        verify(world.layout.version("v0"), versions.get(tx, "v0").digest)
