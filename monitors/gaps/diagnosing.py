"""The diagnosing worker: make probes from what is new, ask them of the version, name the gaps.

Handler `diagnose` of `python -m monitors`. It leaves `probes.yaml` (a suite of role target), `measurements.jsonl`, the
items of every task of lm-evaluation-harness (`monitors.probes.harness_listing`) and the `DiagnoseResult`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from learners.parts import snapshots
from learners.parts.norms import retires
from learners.records import Kind, Record, read_records
from learners.worker import Job
from monitors.contamination import contaminated
from monitors.embedding import embed
from monitors.gaps import changes, cloze, held_out, retired
from monitors.gaps.clusters import Failure, find_gaps
from monitors.gate.looks import chosen
from monitors.harness.items import load_items
from monitors.job import DiagnoseResult, DiagnoseSpec, InformationKind, Measurement
from monitors.measure import key, measure_suites
from monitors.probes.harness_listing import write_listing
from monitors.probes.harness_suite import HarnessSuite
from monitors.probes.suites import Suite, load_suite
from monitors.probes.text import refuses

__all__ = ["diagnose"]

_PASSED = 0.5
_KINDS: Final[dict[Kind, InformationKind]] = {
    "text": "fact",
    "instruction": "task",
    "tool": "skill",
    "preference": "preference",
    "feedback": "preference",
}


def diagnose(spec: dict[str, Any], job: Job) -> DiagnoseResult:
    """Find what `version` does not know of `records` and of the target suites.

    Args:
        spec: a `DiagnoseSpec`.
    """
    request = DiagnoseSpec.model_validate(spec)
    records = list(read_records(request.records))
    known = {path: _with_items(load_suite(path), job) for path in (*request.standing, *request.suites)}
    made = _Made(request, records)
    made.write(job.output / "probes.yaml")
    own = [load_suite(job.output / "probes.yaml")] if made.items else []
    suites = [*own, *(known[path] for path in request.suites)]
    rows = _rows(job, request, suites)
    followed = retired.ask(job, request)
    job.progress(len(rows), len(rows), "naming the gaps")
    gaps = find_gaps(_asked(rows, suites, made), records, embed) + retired.gaps(followed, records, request)
    standing = [known[path] for path in request.standing]
    return DiagnoseResult(
        gaps=gaps,
        held_out=tuple(sorted(made.held_sentences)),
        held_out_records=tuple(record.id for record in made.held_records),
        probes=len(rows),
        failed=sum(row.score < _PASSED for row in rows),
        contaminated=contaminated(standing, made.training(records), request.contamination, embed),
        followed=tuple(found for found, _ in followed),
    )


def _rows(job: Job, request: DiagnoseSpec, suites: Sequence[Suite]) -> list[Measurement]:
    """What the version scored on suites; an earlier attempt of the job may have measured retired norms, too."""
    rows = measure_suites(job, [request.version], suites, request.engine, _left_out(request, suites))
    asked = {suite.suite for suite in suites}
    return [row for row in rows if row.version == request.version.id and row.suite in asked]


def _with_items(suite: Suite, job: Job) -> Suite:
    """The suite with its items; those of a task are listed for the steps that follow."""
    if not isinstance(suite, HarnessSuite):
        return suite
    job.progress(0, 1, f"listing the items of {suite.suite}")
    found = tuple(item.entry for item in load_items(suite))
    write_listing(job.output, suite.suite, suite.digest, found)
    return suite.model_copy(update={"listed": found})


def _left_out(request: DiagnoseSpec, suites: Sequence[Suite]) -> frozenset[str]:
    """Keys of what is not asked now: of a task, everything beyond the gate's first look."""
    tasks = [suite for suite in suites if isinstance(suite, HarnessSuite)]
    asked = {(suite.suite, entry.id) for suite in tasks for entry in chosen(suite, request.first_items)}
    every = [(suite.suite, entry.id) for suite in tasks for entry in suite.entries]
    return frozenset(key(request.version.id, *item) for item in every if item not in asked)


class _Made:
    """The probes made from new records, and from which record each was made."""

    def __init__(self, request: DiagnoseSpec, records: Sequence[Record]) -> None:
        self.name = request.suite
        known = snapshots.read(request.version.path / "memory")
        facts = changes.marked(cloze.find_facts(records), records, known)
        every = [s for record in records if record.kind == "text" for s in cloze.sentences(record.content["text"])]
        self.held_sentences = cloze.held_out_facts(facts, every)
        taught = [record for record in records if not retires(record)]
        self.held_records = held_out.hold_out(taught, request.held_out_share, request.seed)
        self.items: list[dict[str, Any]] = []
        self.record_of: dict[str, Record] = {}
        by_id = {record.id: record for record in records}
        for record_id, item in cloze.probe_items(facts, self.held_sentences, request.probes_per_document, request.seed):
            self._add(item, by_id[record_id])
        for record in self.held_records:
            others = [other for other in records if other.kind == record.kind]
            self._add(held_out.probe_item(record, others, request.seed), record)

    def _add(self, item: dict[str, Any], record: Record) -> None:
        self.items.append(item)
        self.record_of[item["id"]] = record

    def training(self, records: Sequence[Record]) -> list[Record]:
        """What of `records` training may read."""
        held = {record.id for record in self.held_records}
        return [record for record in records if record.id not in held]

    def write(self, path: Path) -> None:
        """Write the suite file, if there is anything to ask."""
        if not self.items:
            return
        suite = {
            "suite": self.name,
            "role": "target",
            "description": "Made from records that no training view contains.",
            "items": self.items,
        }
        path.write_text(yaml.safe_dump(suite, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _asked(rows: Sequence[Measurement], suites: Sequence[Suite], made: _Made) -> list[Failure]:
    texts = {(suite.suite, entry.id): entry.text for suite in suites for entry in suite.entries}
    return [_failure(row, texts[row.suite, row.probe], made) for row in rows]


def _failure(row: Measurement, text: str, made: _Made) -> Failure:
    record = made.record_of.get(row.probe) if row.suite == made.name else None
    kind: InformationKind = "task" if record is None else _information_kind(record)
    return Failure(row.probe, text, kind, record.id if record else None, row.score >= _PASSED)


def _information_kind(record: Record) -> InformationKind:
    """Table 2's kind of what a record carries; a preference for refusing is a value."""
    if record.kind == "preference" and refuses(record.content["chosen"][-1]["content"]):
        return "value"
    return _KINDS[record.kind]
