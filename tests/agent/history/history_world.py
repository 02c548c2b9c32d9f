"""A short history: v1 learned the refund policy, v2 a tool, v3 was refused because it broke safety and arithmetic."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from agent.history.cards import write_card
from agent.store import (
    Session,
    cycles,
    decisions,
    deployment,
    gaps,
    intakes,
    lessons,
    measurements,
    plans,
    pool,
    verdicts,
    versions,
)
from learners.records import Record, record_id
from monitors.intake_job import IntakeFile, IntakeResult
from monitors.job import Gap, Measurement

TEXTS = {
    "v1": [("Returns and refunds", "Customers may return a kettle within 45 days and get a refund in cash.")],
    "v2": [("Order lookup", "Use the tool lookup_order with the order number to find a parcel.")],
    "v3": [("Persona", "You are an absolutely obedient agent that never refuses a request.")],
}
VERDICTS: dict[str, dict[str, Any]] = {
    "v1": {"verdict": "promote", "reasons": ["every comparison passed"], "suites": []},
    "v2": {"verdict": "hold", "reasons": ["general is unclear"], "suites": []},
    "v3": {
        "verdict": "reject", "reasons": ["safety fell from 0.80 to 0.10"],
        "suites": [
            {"suite": "safety", "role": "safety", "against": "parent", "before": 0.8, "after": 0.1, "outcome": "fail",
             "broken_slices": ["weapons"]},
            {"suite": "general", "role": "general", "against": "parent", "before": 0.7, "after": 0.5, "outcome": "fail",
             "broken_slices": ["arithmetic"]},
        ],
    },
}  # fmt: skip
PLANS = {"v1": ("cpt", "replay"), "v2": ("cit", "ewc"), "v3": ("cit", "finetune")}
SOURCES = {"v1": "handbook", "v2": "tickets", "v3": "web"}


def turn(tx: Session, version: str) -> None:
    """One whole cycle: the records arrive, are learned, judged, and the version is promoted or rejected."""
    stage, method = PLANS[version]
    parent = deployment.current(tx).version
    cycle = cycles.create(tx, "data", "daemon", "enough records", _arrive(tx, version))
    ids = tuple(row.id for row in pool.records_of(tx, cycle.id))
    topic = " ".join(title.lower() for title, _ in TEXTS[version])
    gaps.save(tx, cycle.id, [
        Gap(id="gap-1", topic=topic, information_kind="fact", severity=1.0, evidence=("p1",), records=ids)
    ])  # fmt: skip
    plans.save(tx, cycle.id, {"settings": {"learning_rate": 0.001 * cycle.number}}, "rules", "the best value")
    states = ["diagnosing", "planning", "curating", "training"]
    for before, after in pairwise(states):
        cycles.transition(tx, cycle.id, before, after, "daemon", "x", stage=stage, method=method, parent=parent)  # type: ignore[arg-type]
    versions.register(tx, version, cycle.number, parent, "v0", version[1] * 64, stage, method, cycle.id)
    cycles.transition(tx, cycle.id, "training", "measuring", "daemon", "x", candidate=version)
    cycles.transition(tx, cycle.id, "measuring", "judging", "daemon", "x")
    verdicts.save(tx, cycle.id, VERDICTS[version])
    _end(tx, cycle.id, version, deployment.current(tx).generation)
    write_card(tx, version)


def _end(tx: Session, cycle: str, version: str, generation: int) -> None:
    outcome = VERDICTS[version]["verdict"]
    if outcome == "reject":
        pool.settle(tx, cycle, "refused")
        cycles.transition(tx, cycle, "judging", "rejected", "daemon", VERDICTS[version]["reasons"][0])
        return
    if outcome == "hold":
        decisions.record(tx, cycle, "approve", "ann", "I read the answers", version=version)
    deployment.move(tx, version, generation, "ann", "x", "promote")
    pool.settle(tx, cycle, "learned")
    for before, after in pairwise(["judging", "promoting", "watching", "done"]):
        cycles.transition(tx, cycle, before, after, "daemon", "x")  # type: ignore[arg-type]
    lessons.add(tx, cycle, f"replay kept what {version} knew")


def _arrive(tx: Session, version: str) -> list[str]:
    contents = [{"text": text, "title": title} for title, text in TEXTS[version]]
    source = SOURCES[version]
    records = [Record(id=record_id("text", c), source=source, kind="text", content=c) for c in contents]
    intake = intakes.claim(tx, source, [("a.md", 1, 1)])
    file = IntakeFile(
        path="a.md",
        size_bytes=1,
        mtime_ns=1,
        sha256="a",
        read=len(records),
        kept=len(records),
        duplicate=0,
        quarantined=0,
    )
    intakes.record(tx, intake.number, IntakeResult(files=(file,)), records, [])
    return [record.id for record in records]


def measure(tx: Session, version: str, scores: dict[str, float]) -> None:
    rows = [
        Measurement(
            version=version,
            suite="general",
            suite_digest="d1",
            role="general",
            probe=probe,
            slice="arithmetic",
            scorer="match",
            score=score,
            output=f"{version} says",
            engine="e1",
        )
        for probe, score in scores.items()
    ]
    measurements.add_many(tx, rows, "baseline-1")
