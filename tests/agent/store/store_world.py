"""Builders that the store's tests share."""

from __future__ import annotations

from itertools import pairwise

from agent.store import Session, cycles, intakes, versions
from agent.store.cycles import CycleState
from learners.records import Record, record_id
from monitors.intake_job import IntakeFile, IntakeResult, Quarantined

_LINE: list[CycleState] = [
    "diagnosing",
    "planning",
    "curating",
    "training",
    "measuring",
    "judging",
    "promoting",
    "watching",
]


def walk_to(tx: Session, state: str) -> str:
    """A cycle walked straight to `state`, with candidate `v<number>` from measuring on; returns its id."""
    cycle = cycles.create(tx, "data", "daemon", "test")
    for before, after in pairwise(_LINE[: _LINE.index(state) + 1]):
        found = {}
        if after == "measuring":
            found = {"candidate": f"v{cycle.number}", "parent": "v0", "anchor": "v0"}
            versions.register(tx, f"v{cycle.number}", cycle.number, "v0", "v0", "1" * 64, "cit", "replay", cycle.id)
        cycles.transition(tx, cycle.id, before, after, "daemon", "test", **found)
    return cycle.id


def make_records(count: int, source: str = "inbox") -> list[Record]:
    contents = [{"text": f"{source} fact {number}"} for number in range(count)]
    return [Record(id=record_id("text", c), source=source, kind="text", content=c, origin="a.txt") for c in contents]


def take_in(tx: Session, records: list[Record], duplicate: int = 0, quarantined: int = 0) -> intakes.Accounting:
    """Claim and record an intake of `records` from one file."""
    intake = intakes.claim(tx, "inbox", [("/inbox/a.txt", 10, 20)])
    refused = [Quarantined(origin=f"a.txt:{n}", reason="not UTF-8") for n in range(quarantined)]
    result = intake_result(len(records), duplicate, quarantined)
    return intakes.record(tx, intake.number, result, records, refused)


def intake_result(kept: int, duplicate: int = 0, quarantined: int = 0) -> IntakeResult:
    file = IntakeFile(
        path="/inbox/a.txt",
        size_bytes=10,
        mtime_ns=20,
        sha256="f" * 64,
        read=kept + duplicate + quarantined,
        kept=kept,
        duplicate=duplicate,
        quarantined=quarantined,
    )
    return IntakeResult(files=(file,))
