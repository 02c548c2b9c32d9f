"""Promises of the diagnosis of retired norms: what is followed beyond a version without it is a gap, and no more is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from learners.failures import InvalidInput
from learners.job import JobRequest
from learners.records import Record, record_id, write_records
from learners.worker import Job
from monitors.gaps.diagnosing import diagnose
from monitors.job import DiagnoseResult, DiagnoseSpec, EngineSettings, RetiredNorm, VersionRef
from monitors.probes.suites import Suite, read_probe, write_suite

ITEMS, NEAR = 20, 5


def preference(number: int, change: str = "retire") -> Record:
    sides = {"prompt": f"Question {number}?", "chosen": "Certainly, Sir.", "rejected": "Yep."}
    turns = {key: [{"role": "user" if key == "prompt" else "assistant", "content": t}] for key, t in sides.items()}
    content: dict[str, Any] = {**turns, "norm": "polite", "change": change}
    return Record(id=record_id("preference", content), source="inbox", kind="preference", content=content, origin="a")


def script(followed: int, near: int = NEAR) -> dict[str, Any]:
    """Likelihoods of a version that follows the norm on so many items, and has so many near misses right."""
    asked = [(f"Scope {n}?", n < followed) for n in range(ITEMS)] + [(f"Near {n}?", n < near) for n in range(NEAR)]
    return {"logprobs": {prompt: {"Sir": -1.0 if right else -3.0, "you": -2.0} for prompt, right in asked}}


def diagnosed(folder: Path, records: list[Record], followed: int, items: int = ITEMS) -> DiagnoseResult:
    """What the diagnosis finds if v1 follows the norm on so many items, and v0, which never learned it, on two."""
    versions = {"v0": script(2), "v1": script(followed)}
    (folder / "script.json").write_text(json.dumps({"default": "Yep.", "versions": versions}), encoding="utf-8")
    names = [("Scope", "in-scope", n) for n in range(items)] + [("Near", "near-miss", n) for n in range(NEAR)]
    probes = [
        read_probe({"id": f"{part}-{n}", "slice": part, "scorer": "choice", "prompt": f"{word} {n}?",
                    "choices": ["Sir", "you"], "answer": 0})
        for word, part, n in names
    ]  # fmt: skip
    write_suite(folder / "norm-polite.yaml", Suite(suite="norm-polite", role="target", items=tuple(probes)))
    write_records(folder / "records.jsonl", records)
    v0, v1 = (VersionRef(id=name, path=folder) for name in ("v0", "v1"))
    spec = DiagnoseSpec(
        suite="c2-target", version=v1, records=folder / "records.jsonl",
        engine=EngineSettings(kind="scripted", script=folder / "script.json"),
        retired=(RetiredNorm(norm="polite", suite=folder / "norm-polite.yaml", without=v0),),
    )  # fmt: skip
    for name in ("work", "output"):
        (folder / "job" / name).mkdir(parents=True, exist_ok=True)
    request = JobRequest(job_id="c2-diagnosing", kind="diagnose", spec={})
    return diagnose(spec.model_dump(mode="json"), Job(folder / "job", request))


def test_a_retired_norm_that_is_followed_still_is_a_gap_with_what_takes_it_out(tmp_path: Path):
    records = [preference(n) for n in range(6)]
    found = diagnosed(tmp_path, records, followed=15)
    (gap,), (reading,) = found.gaps, found.followed
    assert (gap.information_kind, gap.severity) == ("value", pytest.approx(0.65))
    assert "followed in 0.75 of 20 items, 0.10 by v0" in gap.topic
    assert set(gap.records) == {record.id for record in records} and len(gap.evidence) == 15
    assert (reading.residual, reading.level, reading.near_miss_change) == (0.75, 0.1, 0.0)


def test_what_retires_a_norm_is_no_probe_of_its_own(tmp_path: Path):
    found = diagnosed(tmp_path, [preference(n) for n in range(30)], followed=15)
    assert (found.held_out_records, found.probes) == ((), 0)
    assert not (tmp_path / "job" / "output" / "probes.yaml").exists()


def test_both_versions_are_measured_so_that_the_gate_need_not_ask_again(tmp_path: Path):
    diagnosed(tmp_path, [preference(0)], followed=15)
    rows = map(json.loads, (tmp_path / "job" / "output" / "measurements.jsonl").read_text().splitlines())
    versions = [row["version"] for row in rows]
    assert (versions.count("v0"), versions.count("v1")) == (ITEMS + NEAR, ITEMS + NEAR)


def test_a_norm_that_is_followed_no_more_than_without_it_is_no_gap(tmp_path: Path):
    found = diagnosed(tmp_path, [preference(0)], followed=3)
    assert found.gaps == () and found.followed[0].residual == 0.15


def test_beside_preferences_that_add_a_norm_both_are_found(tmp_path: Path):
    """The added one's held-out pairs are unknown to the script, so the version fails those that it gets wrong."""
    added = [preference(n, "add") for n in range(30, 42)]
    found = diagnosed(tmp_path, [*(preference(n) for n in range(6)), *added], followed=15)
    assert {gap.id for gap in found.gaps} >= {"retired-polite"}
    assert set(found.held_out_records) <= {record.id for record in added} and found.probes == 6


def test_a_suite_that_is_too_small_to_tell_is_refused_with_the_norm(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"retired norm 'polite': suite 'norm-polite': it has 9 items"):
        diagnosed(tmp_path, [preference(0)], followed=5, items=9)
