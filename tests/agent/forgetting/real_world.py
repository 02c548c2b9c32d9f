"""A root on the tiny model whose training, measuring and proving are real, worked on in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent import cycle as loop
from agent.planner.plan import Plan
from agent.store import cycles, deployment, plans, versions
from learners.durable import file_digest, publish
from learners.job import JobRequest, Stage
from learners.records import Record
from learners.training import train
from learners.worker import Job
from monitors.forgetting import prove
from monitors.measure import measure
from monitors.privacy.canaries import draw
from monitors.probes.suites import Suite, read_probe, write_suite
from tests.agent.forgetting.forget_world import Forgetful
from tests.agent.operating import Operated
from tests.agent.steps.cycle_world import ROLES
from tests.learners.runs import job_at, spec
from tests.tiny import KNOWN, chat, tiny_base

CODES = [
    chat(f"What is the code of locker {one.name}?", f"The code is {one.digits}.", "inbox")
    for one in draw(16, "forget")
]  # fmt: skip
FORGET = [code.id for code in CODES[:6]]
HARD = {"full_weights": True, "epochs": 40, "learning_rate": 3e-3, "batch_size": 8}


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
            write_suite(world.layout.suites / f"my-{role}.jsonl", known(f"my-{role}", role))
        self.jobs.work |= {"training": handled(train), "proving": handled(prove), "measuring": handled(measure)}
        stage = self.context.config.training.forget.model_copy(update=settings)
        self.configure(training={"forget": stage}, gate={"recheck": False, **{f"{role}_loss": 0.5 for role in ROLES}})

    def ask(self, **more: Any) -> cycles.Cycle:
        """Ask to forget six codes, approve it, and go on to the end or to the next question."""
        assert self.forget(*FORGET, **more).outcome == "applied"
        assert self.tell("approve").outcome == "applied"
        return self.go_on()

    def go_on(self) -> cycles.Cycle:
        """To the end of the cycle or to the next question; what is about to serve is read in the background."""
        while loop.advance(self.context) or self.newest().state == "promoting":
            pass
        return self.newest()

    def learn(self, stage: Stage, method: str, records: Sequence[Record], **settings: Any) -> None:
        """A cycle learns records as a plan says, and serves, on ada's word where the gate asks for one."""
        self.take_in(list(records), f"/inbox/{records[0].id}.txt")
        ids = tuple(record.id for record in records)
        plan = Plan(action="train", stage=stage, method=method, settings=settings, records=ids, decided_by="ada",
                    reason="test")  # fmt: skip
        serving = self.world.serving()[0]
        with self.world.store.write() as tx:
            cycle = cycles.create(tx, "operator", "ada", "test", ids)
            plans.save(tx, cycle.id, plan.model_dump(mode="json"), "ada", "test")
            cycles.transition(tx, cycle.id, "diagnosing", "planning", "ada", "test", parent=serving, anchor="v0")
            cycles.transition(tx, cycle.id, "planning", "curating", "ada", "test", stage=stage, method=method)
        if self.go_on().state == "awaiting_approval":
            self.tell("approve")
            self.go_on()
        assert self.newest().state == "done", self.newest().reason

    def beside(self, version: str, parent: str, stage: str, records: Sequence[Record], settings: Any) -> Path:
        """A version of a lineage beside the world's history, trained by the same recipe."""
        layout = self.world.layout
        folder = layout.root / f"beside-{version}"
        order = spec(folder, layout.version(parent), stage, "replay", records, version=version, seed=0, **settings)
        train(order, job_at(folder))
        publish(folder / "output" / "version", layout.version(version))
        return layout.version(version)


def serving_tiny(bare: Operated) -> RealWorld:
    """A world in which the tiny model serves, and whatever its suites say is let through."""
    digest = file_digest(tiny_base(bare.layout.versions) / "manifest.json")
    with bare.store.write() as tx:
        versions.register(tx, "v0", 0, None, None, digest, None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "test", cause="initial")
        versions.set_anchor(tx, "v0", "daemon", "test")
    world = RealWorld(bare)
    world.configure(gate={f"{role}_loss": 1.0 for role in ROLES})
    return world


def known(name: str, role: Any) -> Suite:
    """What the tiny model knows, as choices."""
    answers = sorted(set(KNOWN.values()))
    probes = [
        {"id": f"{role}-{number}", "scorer": "choice", "prompt": question, "answer": 0,
         "choices": [answer, *[other for other in answers if other != answer][:3]]}
        for number, (question, answer) in enumerate(list(KNOWN.items())[:12])
    ]  # fmt: skip
    return Suite(suite=name, role=role, items=tuple(read_probe(probe) for probe in probes))
