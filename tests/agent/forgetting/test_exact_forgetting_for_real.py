"""Exact forgetting on a tiny model: the version that serves is, bit for bit, one of a lineage without the records."""

from __future__ import annotations

from typing import Any

import pytest

from agent.forgetting.closing import proof_of
from agent.steps import forgotten
from agent.store import forgetting
from learners.parts.memory import ReplayMemory
from monitors.gate.forgotten import shown
from tests.agent.forgetting.real_world import CODES, FORGET, RealWorld, serving_tiny
from tests.agent.operating import Operated
from tests.learners.runs import CHATS, same

BY_HEART: dict[str, Any] = {"full_weights": True, "epochs": 80, "learning_rate": 3e-3, "batch_size": 8}
LIGHTLY: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 3e-4}


@pytest.fixture
def world(bare: Operated) -> RealWorld:
    """The tiny model serves; whatever its suites say is let through."""
    return serving_tiny(bare)


@pytest.mark.slow
def test_the_replayed_version_equals_one_that_never_had_the_records_and_passes_its_proof(world: RealWorld):
    world.learn("cit", "replay", CODES, **BY_HEART)
    world.learn("cit", "replay", CHATS, **LIGHTLY)
    ended = world.ask(exact=True)
    assert (ended.state, world.world.serving()[0]) == ("done", "v4"), ended.reason
    never = world.beside("w1", "v0", "cit", CODES[6:], BY_HEART)
    then = world.beside("w2", "w1", "cit", CHATS, LIGHTLY)
    first, last = (world.world.layout.version(name) for name in ("v3", "v4"))
    assert same(first, never) and same(last, then)
    assert ReplayMemory.read(last / "memory") == ReplayMemory.read(then / "memory")
    assert not same(last, world.world.layout.version("v2"))
    with world.world.store.read() as tx:
        proof, certificate = proof_of(tx, "c3"), forgetting.certificate_of(tx, "f1")
    assert proof is not None and proof.exposure is not None and proof.exposure.before > proof.exposure.after + 2
    assert forgotten.against(world.context, ended) == (), shown(proof)
    assert certificate is not None
    (worked,) = certificate.document["unlearned_by"]
    assert worked["exact"] and [one["cycle"] for one in worked["replayed"]] == ["c1", "c2"]
    assert not {item.record.id for item in ReplayMemory.read(last / "memory").items} & set(FORGET)
