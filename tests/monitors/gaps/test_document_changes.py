"""Promises of changed and unchanged probes: a document that comes again says what it changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from learners.job import JobRequest
from learners.parts import snapshots
from learners.records import Record, record_id, write_records
from learners.worker import Job
from monitors.gaps.changes import marked
from monitors.gaps.cloze import find_facts
from monitors.gaps.diagnosing import diagnose
from monitors.job import DiagnoseSpec, EngineSettings, VersionRef
from monitors.probes.suites import load_suite

OLD = "The return window for the kettle is 45 days.\nThe founder of the company is Marta Lindqvist."
NEW = OLD.replace("45", "60") + "\nThe warehouse of the company is in Tarnbrook."


def handbook(body: str, title: str = "Handbook") -> Record:
    content = {"text": body, "title": title}
    return Record(id=record_id("text", content), source="inbox", kind="text", content=content)


def known(record: Record) -> dict[str, str]:
    key = snapshots.key_of(record)
    assert key
    return {key: str(record.content["text"])}


def changes(record: Record, before: dict[str, str]) -> dict[str, str]:
    return {fact.answer: fact.change for fact in marked(find_facts([record]), [record], before)}


def test_a_fact_of_a_new_version_is_new_or_updated_or_unchanged():
    found = changes(handbook(NEW), known(handbook(OLD)))
    assert found == {"60 days": "updated", "Marta Lindqvist": "unchanged", "Tarnbrook": "new"}


def test_case_and_spacing_change_no_fact():
    found = changes(handbook(OLD.replace("The return", "the  return")), known(handbook(OLD)))
    assert set(found.values()) == {"unchanged"}


def test_every_fact_of_another_document_is_new():
    assert set(changes(handbook(OLD, "Price list"), known(handbook(OLD))).values()) == {"new"}


def test_nothing_is_said_of_facts_where_no_document_was_learned_before():
    assert set(changes(handbook(OLD), {}).values()) == {""}


@pytest.mark.parametrize(("learned", "slices"), [
    (True, {"unchanged", "updated", "new"}), (False, {"name", "quantity"}),
])  # fmt: skip
def test_the_probes_of_a_version_that_learned_the_document_before_say_what_they_ask_for(
    tmp_path: Path, learned: bool, slices: set[str]
):
    if learned:
        snapshots.write(tmp_path / "memory", known(handbook(OLD)))
    (tmp_path / "script.json").write_text(json.dumps({"default": "I do not know."}))
    write_records(tmp_path / "records.jsonl", [handbook(NEW)])
    spec = DiagnoseSpec(
        suite="c1-target", version=VersionRef(id="v1", path=tmp_path), records=tmp_path / "records.jsonl",
        engine=EngineSettings(kind="scripted", script=tmp_path / "script.json"),
    )  # fmt: skip
    for name in ("work", "output"):
        (tmp_path / name).mkdir()
    diagnose(spec.model_dump(mode="json"), Job(tmp_path, JobRequest(job_id="c1", kind="diagnose", spec={})))
    assert {probe.slice for probe in load_suite(tmp_path / "output" / "probes.yaml").items} == slices
