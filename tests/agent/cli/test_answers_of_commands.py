"""Promises of what commands say: what is wrong is named with the way out, and what is shown can be read at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from agent.cli import history
from agent.history.index import EntryKind
from agent.store import commands, intakes, plans, verdicts
from learners.job import Stage
from monitors.intake_job import IntakeResult, Quarantined
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated

OPTION: dict[str, Any] = {"action": "train", "predicted_gain": 0.6, "predicted_loss": 0.1, "cost_tokens": 9000}
COMPARED: dict[str, Any] = {
    "suite": "general", "role": "general", "against": "parent", "items": 128, "before": 0.75, "after": 0.5,
    "delta": -0.25, "low": -0.34, "high": -0.16, "unit": "score", "outcome": "fail", "dry_run": False,
    "broken_slices": ["geography", "reading", "science", "language"],
    "broken_items": [f"gen-{number}" for number in range(10)],
}  # fmt: skip


@pytest.mark.parametrize(("option", "value"), [("--stage", "poem"), ("--verdict", "maybe")])
def test_a_filter_that_cannot_be_is_no_empty_answer(operated: Operated, cld: Cld, option: str, value: str):
    said = cld("history", "list", option, value)
    assert said.code == 2 and value in said.err and said.out == ""


def test_the_choices_of_the_filters_are_those_of_the_program():
    assert get_args(get_args(get_args(history.Stage)[0])[0]) == get_args(Stage)
    assert get_args(get_args(get_args(history.Kind)[0])[0]) == get_args(EntryKind)


@pytest.mark.parametrize("words", [("--since", "yesterday"), ("--kind", "poem")])
def test_a_question_with_a_wrong_filter_is_a_wrong_command_line(operated: Operated, cld: Cld, words: tuple[str, str]):
    said = cld("history", "search", "refund?", *words)
    assert said.code == 2 and words[1] in said.err


def test_a_file_that_is_not_there_is_said_so_whatever_its_ending(operated: Operated, cld: Cld, tmp_path: Path):
    said = cld("submit", str(tmp_path / "nowhere"))
    assert said.code == 3 and "there is no file" in said.err


def test_a_folder_is_not_submitted_and_how_to_watch_it_is_said(operated: Operated, cld: Cld, tmp_path: Path):
    said = cld("submit", str(tmp_path))
    assert said.code == 4 and "is a folder" in said.err and "[sources.NAME]" in said.err


def test_a_backup_into_a_folder_that_is_not_there_is_named(operated: Operated, cld: Cld, tmp_path: Path):
    said = cld("backup", str(tmp_path / "nowhere" / "copy.db"))
    assert said.code == 74 and "no copy was made" in said.err and "folder that exists" in said.err


def test_a_database_that_cannot_be_opened_is_an_answer_and_no_traceback(operated: Operated, cld: Cld):
    operated.store.close()
    for file in operated.layout.root.glob("cld.db*"):
        file.unlink()
    operated.layout.database.mkdir()
    said = cld("cycle", "list")
    assert said.code == 74 and "cannot be read or written" in said.err


def test_what_is_no_copy_of_a_database_is_named_by_its_own_name(operated: Operated, cld: Cld, tmp_path: Path):
    (tmp_path / "notes.md").write_text("# no database\n" * 100)
    said = cld("restore", str(tmp_path / "notes.md"))
    assert said.code == 74 and "notes.md" in said.err and "restoring" not in said.err


def test_a_measurement_of_a_version_that_is_not_there_is_not_kept_for_the_daemon(operated: Operated, cld: Cld):
    said = cld("probe", "run", "v9")
    assert said.code == 3 and "'v9'" in said.err
    with operated.store.read() as tx:
        assert commands.pending(tx) == []


def test_a_plan_tells_the_chosen_option_first_and_why_others_cannot_be(operated: Operated, cld: Cld):
    cycle = operated.cycle_in("planning")
    options = [
        {**OPTION, "id": "ca.kto", "refused": "kto does not update fact (Table 2)"},
        {**OPTION, "id": "cpt.ewc", "refused": None},
        {**OPTION, "id": "cpt.replay", "refused": None},
    ]
    plan = {"action": "train", "stage": "cpt", "method": "replay", "records": ["a", "b"], "alternatives": options}
    with operated.store.write() as tx:
        plans.save(tx, cycle, plan, "rules", "it is best")
    out = cld("plan", "show").out
    assert f"plan of {cycle}: cpt.replay" in out and "2 records" in out and "9,000" in out
    assert out.index(" cpt.replay  ") < out.index(" cpt.ewc  ")
    assert out.index(" cpt.ewc  ") < out.index(" ca.kto  ") and "kto does not update fact" in out


def test_a_cycle_tells_each_reason_and_each_comparison_on_a_line_of_its_own(operated: Operated, cld: Cld):
    cycle = operated.cycle_in("planning", "curating", "training", "measuring", "judging")
    verdict = {"verdict": "reject", "reasons": ["general fell", "the targets did not win"], "suites": [COMPARED]}
    with operated.store.write() as tx:
        verdicts.save(tx, cycle, verdict)
    lines = cld("cycle", "show", cycle).out.splitlines()
    assert "    general fell" in lines and "    the targets did not win" in lines
    (row,) = [line for line in lines if "-0.25 (-0.34 to -0.16)" in line]
    assert "geography, reading, science" in row and "language" not in row
    assert any("planning -> curating" in line for line in lines)
    assert any("lost in general against the parent: gen-0, " in line and "and 2 more" in line for line in lines)


def test_what_was_quarantined_is_listed_with_its_reason_and_counted_for_its_source(operated: Operated, cld: Cld):
    with operated.store.write() as tx:
        intake = intakes.claim(tx, "inbox", [("/inbox/a.jsonl", 10, 20)])
        intakes.fail(tx, intake.number, "it is no UTF-8")
    (item,) = cld("data", "quarantine", "--json").json["quarantined"]
    assert (item["origin"], item["reason"]) == ("/inbox/a.jsonl", "it is no UTF-8")
    assert "it is no UTF-8" in cld("data", "quarantine").out and "cld data quarantine" in cld("status").out
    (source,) = cld("data", "list", "--json").json["sources"]
    assert (source["source"], source["read"], source["kept"], source["quarantined"]) == ("inbox", 1, 0, 1)


def test_nothing_in_quarantine_is_said_so(operated: Operated, cld: Cld):
    assert cld("data", "quarantine").out == "nothing is quarantined\n"
    assert "inbox" in cld("data", "list").out


def test_an_empty_intake_leaves_a_source_at_nothing(operated: Operated, cld: Cld):
    with operated.store.write() as tx:
        intake = intakes.claim(tx, "gone", [])
        intakes.record(tx, intake.number, IntakeResult(files=()), [], list[Quarantined]())
    rows = cld("data", "list", "--json").json["sources"]
    assert [(row["source"], row["path"], row["read"]) for row in rows] == [("gone", None, 0), ("inbox", "inbox", 0)]


def test_a_version_tells_the_folders_that_an_engine_is_given(operated: Operated, cld: Cld):
    operated.publish("v1", "v0")
    (operated.layout.version("v1") / "extension").mkdir()
    at = {name: str(operated.layout.version(name)) for name in ("v0", "v1")}
    assert cld("history", "show", "v0", "--json").json["version"]["folders"] == {"weights": f"{at['v0']}/weights"}
    found = cld("history", "show", "v1", "--json").json["version"]["folders"]
    assert found == {
        "weights": f"{at['v0']}/weights",
        "adapter": f"{at['v1']}/adapter",
        "extension": f"{at['v1']}/extension",
    }
    assert f"{at['v1']}/adapter" in cld("history", "show", "v1").out
