"""Exact forgetting on a tiny model: the version that serves is, bit for bit, one of a lineage without the records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.forgetting.closing import proof_of
from agent.steps import forgotten
from agent.store import deployment, forgetting, versions
from learners.durable import file_digest, publish
from learners.parts.memory import ReplayMemory
from learners.records import Record
from learners.training import train
from monitors.gate.forgotten import shown
from tests.agent.forgetting.real_world import CODES, FORGET, RealWorld
from tests.agent.operating import Operated
from tests.agent.steps.cycle_world import ROLES
from tests.learners.runs import CHATS, job_at, same, spec
from tests.tiny import tiny_base

BY_HEART: dict[str, Any] = {"full_weights": True, "epochs": 80, "learning_rate": 3e-3, "batch_size": 8}
LIGHTLY: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 3e-4}


@pytest.fixture
def world(bare: Operated) -> RealWorld:
    """The tiny model serves; whatever its suites say is let through."""
    digest = file_digest(tiny_base(bare.layout.versions) / "manifest.json")
    with bare.store.write() as tx:
        versions.register(tx, "v0", 0, None, None, digest, None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "test", cause="initial")
        versions.set_anchor(tx, "v0", "daemon", "test")
    world = RealWorld(bare)
    world.configure(gate={f"{role}_loss": 1.0 for role in ROLES})
    return world


def trained(world: RealWorld, version: str, parent: str, stage: str, records: Sequence[Record], settings: Any) -> Path:
    """A version of a lineage beside the world's history, trained by the same recipe."""
    folder = world.world.layout.root / f"beside-{version}"
    order = spec(
        folder, world.world.layout.version(parent), stage, "replay", records, version=version, seed=0, **settings
    )
    train(order, job_at(folder))
    publish(folder / "output" / "version", world.world.layout.version(version))
    return world.world.layout.version(version)


@pytest.mark.slow
def test_the_replayed_version_equals_one_that_never_had_the_records_and_passes_its_proof(world: RealWorld):
    world.learn("cit", "replay", CODES, **BY_HEART)
    world.learn("cit", "replay", CHATS, **LIGHTLY)
    ended = world.ask(exact=True)
    assert (ended.state, world.world.serving()[0]) == ("done", "v4"), ended.reason
    never = trained(world, "w1", "v0", "cit", CODES[6:], BY_HEART)
    then = trained(world, "w2", "w1", "cit", CHATS, LIGHTLY)
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
