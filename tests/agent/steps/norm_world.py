"""Norms for played cycles: a registry with suites of its own, and preferences that name norms."""

from __future__ import annotations

from datetime import timedelta

from agent.store import cycles, intakes, norms
from agent.store.columns import now
from learners.records import Record, record_id
from monitors.intake_job import IntakeFile, IntakeResult
from monitors.probes.suites import write_suite
from tests.agent.steps.cycle_world import Play, suite


def register(play: Play, name: str, old: str | None = None, days_ago: int = 10) -> None:
    """Put a norm with a suite `norm-<name>` of twelve items into force, in the place of `old` if that is named."""
    write_suite(play.world.layout.suites / f"norm-{name}.jsonl", suite(f"norm-{name}", "target"))
    start = now() - timedelta(days=days_ago)
    draft = norms.Draft(name, f"Answers are {name}.", start, suite=f"norm-{name}")
    with play.world.store.write() as tx:
        if old is None:
            norms.add(tx, draft, "ada", "the style guide")
        else:
            norms.revise(tx, old, draft, "ada", "the new style guide")


def prefer(play: Play, *named: tuple[str, str]) -> list[str]:
    """Put a preference for each (norm, change) into the pool, and start a cycle on them; their ids."""
    records = [_preference(number, norm, change) for number, (norm, change) in enumerate(named)]
    file = IntakeFile(path="/inbox/p.jsonl", size_bytes=10, mtime_ns=20, sha256="f" * 64, read=len(records),
                      kept=len(records), duplicate=0, quarantined=0)  # fmt: skip
    with play.world.store.write() as tx:
        intake = intakes.claim(tx, "inbox", [(file.path, 10, 20)])
        intakes.record(tx, intake.number, IntakeResult(files=(file,)), records, [])
        cycles.create(tx, "operator", "ada", "test", [record.id for record in records])
    play.information_kind = "preference"
    return [record.id for record in records]


def approve(play: Play) -> None:
    """Give a person's word to the plan that waits."""
    from agent.operators.commands import ask

    world = play.world
    assert ask(world.store, world.layout, world.config, "approve", {}, "ada").outcome == "applied"


def _preference(number: int, norm: str, change: str) -> Record:
    said = {"prompt": f"Question {number}?", "chosen": "Certainly, Sir.", "rejected": "Yep."}
    turns = {
        name: [{"role": "user" if name == "prompt" else "assistant", "content": text}] for name, text in said.items()
    }
    content = {**turns, "norm": norm, "change": change}
    return Record(id=record_id("preference", content), source="inbox", kind="preference", content=content, origin="p")
