"""A norm is learned and retired on a tiny model: real diagnoses, real training, real verdicts, a person's two words.

The workers' handlers run in this process; how a process of its own runs a handler is the matter of tests/e2e.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.history.norms import report
from agent.store import cycles, deployment, norms, plans, pool, versions
from agent.store.columns import now
from agent.trigger import Trigger
from learners.durable import file_digest
from learners.records import Record, record_id
from monitors.gaps.diagnosing import diagnose
from monitors.job import Role
from monitors.probes.suites import Suite, read_probe, write_suite
from tests.agent.forgetting.real_world import RealWorld, handled
from tests.agent.operating import Operated
from tests.agent.steps.cycle_world import ROLES
from tests.tiny import KNOWN, tiny_base

ASKED = [f"{question} Say it {word}." for question in list(KNOWN)[::2] for word in ("now", "later", "soon")]
"""What the preferences are about; the norm is that whoever asks so is told a color."""

OTHERS = list(KNOWN.items())[1::2]
"""What suites ask about, so that no preference gives an item away."""


def preference(prompt: str) -> Record:
    turns = {"prompt": ("user", prompt), "chosen": ("assistant", "Red"), "rejected": ("assistant", "Two")}
    content: dict[str, Any] = {name: [{"role": role, "content": text}] for name, (role, text) in turns.items()}
    content |= {"norm": "red", "change": "add"}
    return Record(id=record_id("preference", content), source="inbox", kind="preference", content=content, origin="p")


def probes() -> Suite:
    """Prompts of the norm that nothing is trained on, and as near misses what the tiny model knows."""
    scope = [f"{question} Say it {word}." for question, _ in OTHERS for word in ("now", "soon")]
    asked = [("in-scope", prompt, "Red", "Two") for prompt in scope]
    asked += [("near-miss", prompt, answer, "Red") for prompt, answer in OTHERS if answer != "Red"]
    return suite("norm-red", "target", asked)


def suite(name: str, role: Role, asked: Sequence[tuple[str, str, str, str]]) -> Suite:
    """Forced choices, each (slice, prompt, right answer, wrong one)."""
    items = [
        {"id": f"{part}-{n}", "slice": part, "scorer": "choice", "prompt": prompt, "choices": both, "answer": 0}
        for n, (part, prompt, *both) in enumerate(asked)
    ]
    return Suite(suite=name, role=role, items=tuple(map(read_probe, items)))


@pytest.fixture
def world(founded: Path, tmp_path: Path, _no_overrides: None) -> Iterator[RealWorld]:
    """The tiny model serves as v0, and the norm is in force."""
    shutil.copytree(founded, tmp_path / "root")
    operated = Operated(tmp_path / "root")
    tiny_base(operated.layout.versions)
    digest = file_digest(operated.layout.version("v0") / "manifest.json")
    with operated.store.write() as tx:
        versions.register(tx, "v0", 0, None, None, digest, None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "test", cause="initial")
        versions.set_anchor(tx, "v0", "daemon", "test")
        norms.add(tx, norms.Draft("red", "Say a color.", now(), suite="norm-red"), "ada", "test")
    write_suite(operated.layout.suites / "norm-red.yaml", probes())
    found = RealWorld(operated)
    for role in ROLES:
        known = suite(f"my-{role}", role, [("known", prompt, answer, "Paris") for prompt, answer in OTHERS])
        write_suite(operated.layout.suites / f"my-{role}.jsonl", known)
    found.jobs.work["diagnosing"] = handled(diagnose)
    stage = found.context.config.training.ca.model_copy(update={"learning_rate": 2e-3, "epochs": 12, "batch_size": 4})
    found.configure(training={"ca": stage})
    yield found
    operated.store.close()


def approved(world: RealWorld) -> str:
    """Say yes to the plan and go on; how it ended, and why."""
    plan = world.go_on()
    assert (plan.state, plan.resume_state, plan.method) == ("awaiting_approval", "curating", "value_revision")
    assert world.tell("approve").outcome == "applied"
    ended = world.go_on()
    return f"{ended.state}: {ended.reason}"


@pytest.mark.slow
def test_a_norm_is_learned_retired_found_in_the_weights_and_let_go(world: RealWorld):
    """Measured on twenty prompts that nothing was trained on: followed in 0.0 before, 1.0 learned, 0.0 retired.

    No near miss changed, and the gate promotes the version that let it go by itself.
    """
    records = [preference(prompt) for prompt in ASKED]
    world.take_in(records, "/inbox/red.jsonl", "preference")
    with world.world.store.write() as tx:
        cycles.create(tx, "operator", "ada", "test", [record.id for record in records])
    assert approved(world).startswith("done")
    with world.world.store.write() as tx:
        norms.retire(tx, "red", now(), "ada", "nobody wants it any more")
    assert Trigger(world.context).turn(0.0)
    said = approved(world)
    with world.world.store.read() as tx:
        (found,) = report(tx, "red")
        plan, rows = plans.get(tx, "c2").plan, pool.records_of(tx, "c2")
    assert said.startswith("done"), said
    assert len(rows) == 18  # of thirty preferences twelve were held out as probes
    assert [one["change"] for one in plan["norms"]] == ["retire"] and {row.state for row in rows} == {"learned"}
    assert (found["learned_by"], found["retired_by"], world.world.serving()[0]) == ("v1", "v2", "v2")
    before, after = (next(row for row in found["versions"] if row["version"] == name) for name in ("v1", "v2"))
    assert before["adoption"] - found["level"] > 0.5
    assert after["residual"] - found["level"] < 0.2 and after["overgeneralisation"] <= 0.1
