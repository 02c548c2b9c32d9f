"""The whole of `cld forget` on a tiny model: real unlearning, a real proof, a real verdict, a certificate.

The workers' handlers run in this process; how a process of its own runs a handler is the matter of tests/e2e.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from agent.forgetting.closing import proof_of
from agent.planner.plan import Plan
from agent.store import cycles, decisions, deployment, forgetting, plans, pool, verdicts, versions
from learners.durable import file_digest, publish
from learners.parts.memory import ReplayMemory
from learners.training import train
from tests.agent.forgetting.forget_world import Forgetful
from tests.agent.forgetting.real_world import CODES, FORGET, HARD, RealWorld
from tests.agent.operating import Operated
from tests.learners.runs import OLD, job_at, spec
from tests.tiny import tiny_base

WALK: tuple[cycles.CycleState, ...] = (
    "diagnosing", "planning", "curating", "training", "measuring", "judging", "promoting", "watching", "done",
)  # fmt: skip


@pytest.fixture(scope="module")
def learned_root(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose `v1` has learned sixteen codes by heart, rehearsing what `v0` knew, and serves."""
    folder = tmp_path_factory.mktemp("learned")
    shutil.copytree(founded, folder / "root")
    world = Operated(folder / "root")
    base = tiny_base(world.layout.versions)
    train(spec(folder / "job", base, "cit", "finetune", [*CODES * 2, *OLD], **HARD), job_at(folder / "job"))
    publish(folder / "job" / "output" / "version", world.layout.version("v1"))
    record(world)
    world.store.close()
    return world.layout.root


def record(world: Operated) -> None:
    """The history of both versions, as the loop would have written it."""
    ids = [code.id for code in CODES]
    digests = [file_digest(world.layout.version(version) / "manifest.json") for version in ("v0", "v1")]
    Forgetful(world).take_in(CODES)
    with world.store.write() as tx:
        versions.register(tx, "v0", 0, None, None, digests[0], None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "test", cause="initial")
        versions.set_anchor(tx, "v0", "daemon", "test")
        cycle = cycles.create(tx, "operator", "ada", "test", ids)
        plan = Plan(action="train", stage="cit", method="finetune", records=tuple(ids), decided_by="ada", reason="test")
        plans.save(tx, cycle.id, plan.model_dump(mode="json"), "ada", "test")
        for before, after in pairwise(WALK):
            cycles.transition(tx, cycle.id, before, after, "daemon", "test", parent="v0", anchor="v0", candidate="v1")
        pool.settle(tx, cycle.id, "learned")
        versions.register(tx, "v1", 1, "v0", None, digests[1], "cit", "finetune", cycle.id)
        decisions.record(tx, cycle.id, "approve", "ada", "test", version="v1")
        deployment.move(tx, "v1", 1, "ada", "test", cause="promote")


@pytest.fixture
def real(learned_root: Path, tmp_path: Path, _no_overrides: None) -> Iterator[Callable[..., RealWorld]]:
    """Makes the test's world, with settings of [training.forget]."""
    shutil.copytree(learned_root, tmp_path / "root")
    operated = Operated(tmp_path / "root")
    yield lambda **settings: RealWorld(operated, **settings)
    operated.store.close()


@pytest.mark.slow
def test_codes_are_forgotten_proven_and_certified(real: Callable[..., RealWorld]):
    """With 100 passes the exposure ends at 1.4 to 3.3 bits, by rounding; 2.9 are allowed. With 220 at 0.5 to 1.8."""
    ended = (world := real(epochs=220)).ask()
    assert ended.state == "done", ended.reason
    assert world.world.serving()[0] == "v2"
    with world.world.store.read() as tx:
        proof, verdict = proof_of(tx, "c2"), verdicts.get(tx, "c2")
        certificate = forgetting.certificate_of(tx, "f1")
    assert proof is not None and proof.exposure is not None and proof.exposure.before > proof.exposure.after + 2
    assert verdict is not None and verdict.outcome == "promote"
    assert certificate is not None and certificate.document["unlearned_by"][0]["proof"]["records"] == len(FORGET)
    assert world.states(*(code.id for code in CODES)) == ["forgotten"] * 6 + ["learned"] * 10
    remembered = {item.record.id for item in ReplayMemory.read(world.world.layout.version("v2") / "memory").items}
    assert remembered and not remembered & set(FORGET)


@pytest.mark.slow
def test_a_method_that_changed_nothing_is_held_by_the_proof(real: Callable[..., RealWorld]):
    held = (world := real(learning_rate=1e-9, epochs=1)).ask()
    assert held.state == "awaiting_approval" and "still remembered" in (held.reason or "")
    assert world.world.serving()[0] == "v1"
