"""Promises of listed tasks: the items of a task of the harness are asked, judged and set aside like any other."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")

from gate_samples import POLICY

from learners.job import JobRequest
from learners.records import Record, record_id, write_records
from learners.worker import Job
from monitors.evidence import by_suite
from monitors.gaps.diagnosing import diagnose
from monitors.gate.case import Case
from monitors.gate.comparison import compare
from monitors.gate.looks import asked, chosen
from monitors.harness.items import load_items
from monitors.job import DiagnoseSpec, EngineSettings, Measurement, VersionRef
from monitors.probes.harness_listing import write_listing
from monitors.probes.probe import Entry
from monitors.probes.suites import copy_suite, load_suite
from tests.monitors.harness_tasks import write_tasks
from tests.tiny import KNOWN, tiny_base

HEADER = "suite: mine\nrole: {}\nlm_eval: {}\ninclude_path: tasks\n"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A folder of suites with local tasks, and the tiny model as v0."""
    folder = tmp_path_factory.mktemp("listing")
    write_tasks(folder / "tasks")
    return folder, VersionRef(id="v0", path=tiny_base(folder))


def suite_file(folder, task, role="general"):
    path = folder / f"{task.replace('_', '-')}-{role}.yaml"
    path.write_text(HEADER.format(role, task))
    return path


def entries_of(folder, task):
    return tuple(item.entry for item in load_items(load_suite(suite_file(folder, task))))


@pytest.mark.parametrize(
    ("task", "chance"), [("tiny_choice", 1 / 3), ("tiny_words", 1 / 3), ("tiny_written", 0), ("tiny_text", 0)]
)
def test_guessing_earns_a_share_of_the_choices_and_nothing_elsewhere(tasks, task, chance):
    assert {entry.chance for entry in entries_of(tasks[0], task)} == {chance}


def test_of_an_item_only_its_question_is_looked_for_in_training_data(tasks):
    texts = {task: {entry.text for entry in entries_of(tasks[0], task)} for task in ("tiny_choice", "tiny_words")}
    assert texts["tiny_choice"] == texts["tiny_words"] == set(list(KNOWN)[:12])


def listed_suite(folder, count=300, task="tiny_choice"):
    """A suite with a planted list of many items."""
    path = suite_file(folder, task)
    items = [Entry(f"t{n % 3}:{n}", f"t{n % 3}", 1 / 3, f"{n}?") for n in range(count)]
    write_listing(folder, "mine", load_suite(path).digest, items)
    return path


def test_a_listed_task_is_asked_look_by_look_in_one_nested_order_that_is_even_over_tasks(tmp_path):
    write_tasks(tmp_path / "tasks")
    suite = load_suite(listed_suite(tmp_path))
    first, last = asked(suite, POLICY, 1), asked(suite, POLICY, 2)
    assert (len(first.probes), first.reserve, first.looks) == (128, 172, 2)
    assert first.chance == pytest.approx(1 / 3) and set(first.probes) < set(last.probes) and len(last.probes) == 300
    assert sorted({entry.slice for entry in chosen(suite, 9)}) == ["t0", "t1", "t2"]


def test_a_copied_suite_keeps_its_list_and_one_of_another_setting_has_none(tmp_path):
    write_tasks(tmp_path / "tasks")
    path = listed_suite(tmp_path)
    (tmp_path / "copy").mkdir()
    copy = copy_suite(path, tmp_path / "copy")
    assert load_suite(copy).entries == load_suite(path).entries != ()
    assert load_suite(copy).digest == load_suite(path).digest
    copy.write_text(copy.read_text() + "num_fewshot: 1\n")
    assert load_suite(copy).entries == ()


def rows(suite, right, version):
    """Measurements of a listed suite of which every n-th item is right, n being `right`."""
    return [
        Measurement(version=version, suite=suite.suite, suite_digest=suite.digest, role="general", probe=entry.id,
                    slice=entry.slice, scorer="lm_eval", score=float(n % right == 0), engine="e")
        for n, entry in enumerate(suite.entries)
    ]  # fmt: skip


@pytest.mark.parametrize(("right", "outcome"), [(3, "blind"), (1, "saturated"), (2, "pass")])
def test_a_task_that_is_answered_at_chance_is_blind_and_one_without_errors_saturated(tmp_path, right, outcome):
    """A third of right answers to three choices shows nothing, though nobody would take 0.33 for the floor."""
    write_tasks(tmp_path / "tasks")
    suite = load_suite(listed_suite(tmp_path, 120))
    sides = [by_suite(rows(suite, right, version)) for version in ("v1", "v0", "v0")]
    case = Case(*sides, POLICY, {"mine": asked(suite, POLICY)})
    assert compare(case.pairs("mine", "parent", 10), "parent", case.terms("mine", "general")).outcome == outcome


def record(text):
    content = {"text": text}
    return Record(id=record_id("text", content), source="inbox", kind="text", content=content, origin="a")


def diagnosed(folder, version, path, records, **more):
    """The answer of a diagnose job and its folder; the model says nothing unless `more` names an engine."""
    write_records(folder / "records.jsonl", records)
    (folder / "script.json").write_text(json.dumps({"default": "I do not know."}))
    for name in ("work", "output"):
        (folder / name).mkdir()
    facts = {"engine": EngineSettings(kind="scripted", script=folder / "script.json"), "standing": (path,), **more}
    spec = DiagnoseSpec(suite="c1-target", version=version, records=folder / "records.jsonl", **facts)
    job = Job(folder, JobRequest(job_id="c1-diagnosing", kind="diagnose", spec={}))
    return diagnose(spec.model_dump(mode="json"), job)


def test_items_of_a_task_that_records_give_away_are_named_by_words_and_by_meaning(tasks, tmp_path):
    copied, rephrased = record("Quiz: What is the capital of France?"), record("Tell me, what is Italy's capital?")
    path = suite_file(tasks[0], "tiny_choice")
    answer = diagnosed(
        tmp_path, tasks[1], path, [copied, rephrased, record("The kettle was recalled in March.")],
        contamination={"similarity": 0.8},
    )  # fmt: skip
    questions = {entry.id: entry.text for entry in entries_of(tasks[0], "tiny_choice")}
    told = {questions[found.probe]: (found.by, found.record) for found in answer.contaminated}
    assert told == {
        "What is the capital of France?": ("ngram", copied.id),
        "What is the capital of Italy?": ("meaning", rephrased.id),
    }


def test_the_diagnosis_lists_the_items_for_the_steps_that_follow(tasks, tmp_path):
    path = suite_file(tasks[0], "tiny_choice")
    diagnosed(tmp_path, tasks[1], path, [])
    (tmp_path / "suites").mkdir()
    copy = copy_suite(path, tmp_path / "suites")
    (tmp_path / "output" / "_items").rename(tmp_path / "suites" / "_items")
    found, expected = load_suite(copy).entries, entries_of(tasks[0], "tiny_choice")
    assert [(one.id, one.slice, one.chance) for one in found] == [(one.id, one.slice, one.chance) for one in expected]


def test_what_an_item_asks_is_written_into_no_list(tasks, tmp_path):
    diagnosed(tmp_path, tasks[1], suite_file(tasks[0], "tiny_choice"), [])
    assert "capital" not in (tmp_path / "output" / "_items" / "mine.json").read_text()


@pytest.mark.slow
def test_a_target_task_shows_gaps_by_the_items_of_the_first_look_alone(tasks, tmp_path):
    path = suite_file(tasks[0], "tiny_ending", "target")
    answer = diagnosed(tmp_path, tasks[1], path, [], suites=(path,), first_items=4, engine=EngineSettings())
    measured = [json.loads(line) for line in (tmp_path / "output" / "measurements.jsonl").read_text().splitlines()]
    suite = load_suite(path).model_copy(update={"listed": entries_of(tasks[0], "tiny_ending")})
    assert {row["probe"] for row in measured} == {entry.id for entry in chosen(suite, 4)}
    assert answer.probes == 4
