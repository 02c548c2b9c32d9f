"""Judged answers for tests: feedback and pairs as the intake makes them, put into a pool and claimed by cycles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.config import Config
from agent.store import Store, cycles, intakes, pool
from agent.trigger import start_cycle
from learners.records import Kind, Record, record_id
from monitors.intake_job import IntakeFile, IntakeResult


def thumb(prompt: str, answer: str, wanted: bool, group: str | None = None) -> Record:
    """A judged answer."""
    return _record("feedback", prompt, group, completion=_says(answer), label=wanted)


def pair(prompt: str, chosen: str, rejected: str, group: str | None = None, **more: str) -> Record:
    """A preference."""
    return _record("preference", prompt, group, chosen=_says(chosen), rejected=_says(rejected), **more)


def put_in(store: Store, records: Sequence[Record]) -> list[str]:
    """Put records into the pool; returns their ids."""
    count = len(records)
    file = IntakeFile(path="/inbox/a.jsonl", size_bytes=10, mtime_ns=20, sha256="f" * 64, read=count, kept=count,
                      duplicate=0, quarantined=0)  # fmt: skip
    with store.write() as tx:
        intake = intakes.claim(tx, "inbox", [("/inbox/a.jsonl", 10, 20)])
        intakes.record(tx, intake.number, IntakeResult(files=(file,)), records, [])
    return [record.id for record in records]


def begin(store: Store, config: Config) -> list[str]:
    """Start a cycle if one can be; ids of what it claims."""
    with store.write() as tx:
        cycle = start_cycle(tx, config, "operator", "ada", "test", 1)
        return [row.id for row in pool.records_of(tx, cycle.id)] if cycle else []


def end(store: Store) -> None:
    """End the cycle under way; its records are learned."""
    with store.write() as tx:
        cycle = cycles.active(tx)
        assert cycle is not None
        pool.settle(tx, cycle.id, "learned")
        cycles.transition(tx, cycle.id, cycle.state, "aborted", "ada", "test")


def _record(kind: Kind, prompt: str, group: str | None, **sides: Any) -> Record:
    content = {"prompt": [{"role": "user", "content": prompt}], **sides, **({"group": group} if group else {})}
    return Record(id=record_id(kind, content), source="inbox", kind=kind, content=content)


def _says(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer}]
