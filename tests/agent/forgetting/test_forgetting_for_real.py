"""The whole of `cld forget` on a tiny model: real unlearning, a real proof, a real verdict, a certificate.

The workers' handlers run in this process; how a process of its own runs a handler is the matter of tests/e2e.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agent import cycle as loop
from agent.forgetting.closing import proof_of
from agent.planner.plan import Plan
from agent.store import cycles, decisions, deployment, forgetting, plans, pool, verdicts, versions
from learners.durable import file_digest, publish
from learners.job import JobRequest
from learners.parts.memory import ReplayMemory
from learners.training import train
from learners.worker import Job
from monitors.forgetting import prove
from monitors.measure import measure
from monitors.privacy.canaries import draw
from monitors.probes.suites import Suite, read_probe, write_suite
from tests.agent.forgetting.forget_world import Forgetful
from tests.agent.operating import Operated
from tests.agent.steps.cycle_world import ROLES
from tests.learners.runs import OLD, job_at, spec
from tests.tiny import KNOWN, chat, tiny_base

CODES = [
    chat(f"What is the code of locker {one.name}?", f"The code is {one.digits}.", "inbox")
    for one in draw(16, "forget")
]  # fmt: skip
FORGET = [code.id for code in CODES[:6]]
HARD = {"full_weights": True, "epochs": 40, "learning_rate": 3e-3, "batch_size": 8}
WALK: tuple[cycles.CycleState, ...] = (
    "diagnosing", "planning", "curating", "training", "measuring", "judging", "promoting", "watching", "done",
)  # fmt: skip


def handled(handler: Callable[[dict[str, Any], Job], Any]) -> Callable[[Any, Path], Mapping[str, Any]]:
    """A worker's handler as a function of the spec and the output folder."""

    def work(asked: Any, output: Path) -> Mapping[str, Any]:
        (output.parent / "work").mkdir()
        job = Job(output.parent, JobRequest(job_id=output.parent.name, kind="test", spec={}))
        return handler(asked.model_dump(mode="json"), job).model_dump(mode="json")

    return work


class RealWorld(Forgetful):
    """A root on the tiny model, whose jobs are worked on in this process.

    Args:
        settings: of [training.forget].
    """

    def __init__(self, world: Operated, **settings: Any) -> None:
        super().__init__(world)
        for role in ROLES:
            write_suite(world.layout.suites / f"my-{role}.yaml", known(f"my-{role}", role))
        self.jobs.work |= {"training": handled(train), "proving": handled(prove), "measuring": handled(measure)}
        stage = self.context.config.training.forget.model_copy(update=settings)
        self.configure(training={"forget": stage}, gate={"recheck": False, **{f"{role}_loss": 0.5 for role in ROLES}})

    def ask(self) -> cycles.Cycle:
        """Ask to forget six codes, approve it, and go on to the end or to the next question."""
        assert self.forget(*FORGET).outcome == "applied"
        assert self.tell("approve").outcome == "applied"
        while loop.advance(self.context):
            pass
        return self.newest()


def known(name: str, role: Any) -> Suite:
    """What the tiny model knows, as choices."""
    answers = sorted(set(KNOWN.values()))
    probes = [
        {"id": f"{role}-{number}", "scorer": "choice", "prompt": question, "answer": 0,
         "choices": [answer, *[other for other in answers if other != answer][:3]]}
        for number, (question, answer) in enumerate(list(KNOWN.items())[:12])
    ]  # fmt: skip
    return Suite(suite=name, role=role, items=tuple(read_probe(probe) for probe in probes))


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
    ended = (world := real()).ask()
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
