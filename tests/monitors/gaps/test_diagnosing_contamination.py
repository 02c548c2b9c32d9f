"""Promise of the diagnose job: it names the items of standing suites that its records give away, before training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from learners.job import JobRequest
from learners.records import Record, record_id, write_records
from learners.worker import Job
from monitors.gaps.diagnosing import diagnose
from monitors.job import DiagnoseResult, DiagnoseSpec, EngineSettings, VersionRef
from monitors.probes.suites import Suite, read_probe, write_suite

QUESTION = "Which of the four seasons in the northern hemisphere begins with the equinox in March?"


def record(text: str) -> Record:
    content = {"text": text}
    return Record(id=record_id("text", content), source="inbox", kind="text", content=content, origin="a")


def example(question: str) -> Record:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "It is the spring."}]
    content: dict[str, Any] = {"messages": turns}
    return Record(id=record_id("instruction", content), source="inbox", kind="instruction", content=content, origin="a")


@pytest.fixture
def spec(tmp_path: Path) -> DiagnoseSpec:
    """A version that knows nothing, and a standing suite of two questions."""
    (tmp_path / "script.json").write_text(json.dumps({"default": "I do not know."}))
    asked = [
        {"id": f"p{n}", "scorer": "match", "prompt": t, "answer": "x"} for n, t in enumerate((QUESTION, "Who?"), 1)
    ]
    suite = Suite(suite="general", role="general", items=tuple(map(read_probe, asked)))
    write_suite(tmp_path / "general.yaml", suite)
    return DiagnoseSpec(
        suite="c1-target", version=VersionRef(id="v0", path=tmp_path), records=tmp_path / "records.jsonl",
        engine=EngineSettings(kind="scripted", script=tmp_path / "script.json"), standing=(tmp_path / "general.yaml",),
    )  # fmt: skip


def diagnosed(spec: DiagnoseSpec, *records: Record) -> DiagnoseResult:
    write_records(spec.records, records)
    folder = spec.records.parent / "job"
    for name in ("work", "output"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    request = JobRequest(job_id="c1-diagnosing", kind="diagnose", spec={})
    return diagnose(spec.model_dump(mode="json"), Job(folder, request))


def test_an_item_in_a_record_is_named_with_the_record(spec: DiagnoseSpec):
    giver = record(f"Quiz of the week. {QUESTION} The answer is on page 7.")
    (item,) = diagnosed(spec, record("The kettle was recalled in March."), giver).contaminated
    assert (item.suite, item.probe, item.record) == ("general", "p1", giver.id)


def test_strangers_give_nothing_away(spec: DiagnoseSpec):
    assert diagnosed(spec, record("The kettle was recalled in March.")).contaminated == ()


def test_a_record_that_is_held_out_whole_is_no_training_data(spec: DiagnoseSpec):
    """Of two equal examples one becomes a probe; only the other one is learned, and gives the item away."""
    twins = [example(QUESTION), example(f"{QUESTION} Say it.")]
    found = diagnosed(spec, *twins)
    (item,), (held,) = found.contaminated, found.held_out_records
    assert item.record in {twin.id for twin in twins} - {held}
