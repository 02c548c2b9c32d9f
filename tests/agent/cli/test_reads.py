"""Promises of the reading commands: JSON with the moment it was read, sentences for people, nothing changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.history.search import Hit
from agent.reads.glance import glance, quick_glance
from agent.root.lock import lock
from agent.store import commands, control, cycles, deployment, events, jobs, plans, pool, verdicts
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated

READS = [
    ("status",), ("cycle", "list"), ("cycle", "show", "c1"), ("plan", "show"), ("plan", "show", "c1"),
    ("history", "list"), ("history", "show", "v0"), ("history", "diff", "v0", "v1"), ("probe", "list"),
    ("probe", "matrix"), ("config", "show"), ("config", "check"), ("methods", "list"), ("methods", "show", "replay"),
    ("data", "list"), ("data", "quarantine"), ("doctor",), ("version",),
]  # fmt: skip


@pytest.fixture
def lived(operated: Operated) -> Operated:
    """A root with a cycle that was planned, judged and rejected."""
    operated.fill_pool(2)
    cycle = operated.cycle_in("planning", "curating", "training", "measuring", "judging")
    with operated.store.write() as tx:
        plans.save(tx, cycle, {"action": "train", "stage": "cit", "settings": {"epochs": 3}}, "rules", "it fits")
        verdicts.save(tx, cycle, {"verdict": "reject", "reasons": ["general fell by 0.4", "\x1b[31mred"]})
        cycles.transition(tx, cycle, "judging", "rejected", "daemon", "general fell")
    return operated


@pytest.mark.parametrize("words", [words for words in READS if words != ("methods", "list")], ids=" ".join)
def test_every_read_answers_in_json_with_the_moment_it_was_read(lived: Operated, cld: Cld, words: tuple[str, ...]):
    said = cld(*words, "--json")
    assert said.code == 0, said.err
    assert said.json["as_of"].startswith("20") and len(said.json) > 1


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_every_read_answers_people_without_control_characters_and_changes_nothing(
    lived: Operated, cld: Cld, words: tuple[str, ...]
):
    before = event_numbers(lived)
    said = cld(*words)
    assert said.code == 0 and said.out, said.err
    assert not [character for character in said.out if character not in "\n\t" and not character.isprintable()]
    assert event_numbers(lived) == before


def test_the_methods_are_a_list_of_objects_that_say_where_each_stands(operated: Operated, cld: Cld):
    found = {row["id"]: row for row in json.loads(cld("methods", "list", "--json").out)}
    assert found["replay"]["stage"] == "cpt" and found["replay"]["stages"] == ["cpt", "cit"]
    assert found["dpo_replay"]["needs"] == ["data", "memory"] and found["copal"]["serving_form"] == "weights"
    assert {name for name, row in found.items() if row["planned"]} == {
        "finetune", "replay", "ewc", "conpet", "dpo_replay", "kto", "value_revision"
    }  # fmt: skip


def test_an_unknown_method_is_answered_with_the_nearest(operated: Operated, cld: Cld):
    said = cld("methods", "show", "repaly")
    assert said.code == 3 and "did you mean 'replay'" in said.err


def test_a_method_is_shown_with_its_settings_and_where_it_differs_from_its_paper(operated: Operated, cld: Cld):
    said = cld("methods", "show", "l2")
    assert "penalty_weight" in said.out and "differs" in said.out and "arXiv:1802.01483" in said.out


def event_numbers(world: Operated) -> list[int]:
    with world.store.read() as tx:
        return [row.seq for row in events.listing(tx, limit=10_000)]


def test_status_says_what_serves_and_what_is_held_up_with_the_command_that_resumes(operated: Operated, cld: Cld):
    with operated.store.write() as tx:
        control.pause(tx, "disk: 3 bytes left", who="daemon", fix="free some space")
    out = cld("status").out
    assert "PAUSED (disk" in out and "to go on: free some space" in out and "v0 (generation 1)" in out


def test_status_names_the_step_its_progress_and_the_word_it_waits_for(operated: Operated, cld: Cld):
    cycle = operated.cycle_in("planning", "awaiting_approval")
    out = cld("status").out
    assert f"{cycle} awaiting_approval" in out and "cld approve" in out and f"cld plan show {cycle}" in out


def test_status_shows_how_far_a_running_job_is(operated: Operated, cld: Cld):
    folder = operated.layout.job("c1-training")
    folder.mkdir()
    line = {"done": 3, "total": 10, "message": "loss 1.5", "metrics": {}}
    (folder / "progress.jsonl").write_text(json.dumps(line) + "\n" + '{"done": 4, "tot')
    with operated.store.write() as tx:
        jobs.open(tx, "c1-training", None, "training", "train", "learners")
        jobs.start_attempt(tx, "c1-training", 1, 1.0)
    with lock(operated.layout):
        assert "3 of 10: loss 1.5" in cld("status").out
        (job,) = cld("status", "--json").json["jobs"]
    assert job["progress"]["done"] == 3


def test_the_quick_status_agrees_with_the_store(lived: Operated):
    quick = quick_glance(lived.layout)
    assert quick == glance(lived.layout, lived.store)
    assert quick is not None
    with lived.store.read() as tx:
        assert quick["version"]["version"] == deployment.current(tx).version
        assert quick["pool"]["kinds"] == pool.counts(tx)
        assert quick["breaker"]["bad_cycles_in_a_row"] == control.breaker(tx) == 1
        assert quick["commands"]["pending"] == len(commands.pending(tx))
        assert quick["verdicts"][0]["verdict"] == "reject"


def test_the_quick_status_sees_the_breaker_lifted(lived: Operated):
    with lived.store.write() as tx:
        control.pause(tx, "breaker: enough", who="daemon", fix="cld resume")
        control.resume(tx, "ada", "looked into it")
    quick = quick_glance(lived.layout)
    assert quick is not None and quick["breaker"]["bad_cycles_in_a_row"] == 0


def test_a_configured_database_is_read_through_the_store(operated: Operated, cld: Cld, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLD_STORE__URL", f"sqlite:///{operated.layout.database}")
    assert quick_glance(operated.layout) is None
    assert cld("status", "--json").json["version"]["version"] == "v0"


def test_status_of_a_damaged_database_names_the_way_out(operated: Operated, cld: Cld):
    operated.store.close()
    operated.layout.database.write_bytes(b"not a database at all" * 100)
    for suffix in ("-wal", "-shm"):
        Path(f"{operated.layout.database}{suffix}").unlink(missing_ok=True)
    said = cld("status")
    assert said.code == 74 and "cld restore" in said.err


def test_status_without_a_database_names_the_command_that_makes_one(operated: Operated, cld: Cld):
    operated.store.close()
    operated.layout.database.unlink()
    said = cld("status")
    assert said.code == 74 and "cld init" in said.err


@pytest.mark.parametrize("words", [("cycle", "show", "c99"), ("history", "show", "v99"), ("plan", "show", "c99")])
def test_what_does_not_exist_ends_with_exit_code_3(operated: Operated, cld: Cld, words: tuple[str, ...]):
    assert cld(*words).code == 3


@pytest.mark.parametrize("bad", ["../v0", "/etc/passwd", "v0\x1b[31m", "V0", "%2e%2e"])
@pytest.mark.parametrize("noun", [("cycle", "show"), ("history", "show"), ("plan", "show")])
def test_an_id_that_could_be_a_path_ends_with_exit_code_2(
    operated: Operated, cld: Cld, noun: tuple[str, str], bad: str
):
    said = cld(*noun, bad)
    assert said.code == 2 and "\x1b" not in said.err


def test_the_history_is_filtered_by_verdict(lived: Operated, cld: Cld):
    rows = cld("history", "list", "--verdict", "reject", "--json").json["versions"]
    assert [row["id"] for row in rows] == ["v1"]


def test_the_log_shows_the_last_lines_cleaned(operated: Operated, cld: Cld):
    lines = [{"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": f"\x1b[31mline {n}"} for n in range(5)]
    operated.layout.log_file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "not json\n")
    out = cld("logs", "-n", "2").out
    assert out.count("\n") == 2 and "line 4" in out and "not json" in out and "\x1b" not in out


def test_without_a_log_the_command_that_makes_one_is_named(operated: Operated, cld: Cld):
    said = cld("logs")
    assert said.code == 3 and "cld start" in said.err


def test_an_error_in_json_has_a_kind_and_a_message(operated: Operated, cld: Cld):
    error = json.loads(cld("cycle", "show", "c99", "--json").err)["error"]
    assert error["kind"] == "not_found" and "c99" in error["message"]


def test_a_wrong_configuration_lists_every_problem_and_ends_with_78(operated: Operated, cld: Cld):
    operated.layout.config_file.write_text("[cycle]\nx = 1\nmin_records = 0\n")
    said = cld("config", "check", "--json")
    assert said.code == 78 and len(json.loads(said.err)["error"]["problems"]) == 2


def test_a_command_that_was_probably_meant_is_named(bare_cld: Cld):
    said = bare_cld("stauts")
    assert said.code == 2 and "status" in said.err


def test_the_root_comes_from_the_environment_too(operated: Operated, bare_cld: Cld, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLD_ROOT", str(operated.layout.root))
    assert bare_cld("status", "--json").json["root"] == str(operated.layout.root)


def test_the_doctor_ends_with_1_if_something_is_missing(operated: Operated, cld: Cld):
    operated.layout.config_file.write_text("[model]\nbase = 'nowhere'\n")
    said = cld("doctor")
    assert said.code == 1 and "fix: " in said.out


def test_the_service_file_is_for_this_root(operated: Operated, cld: Cld):
    assert f"ReadWritePaths={operated.layout.root}\n" in cld("service").out


def test_a_question_to_history_is_passed_on_with_its_filters(
    operated: Operated, cld: Cld, monkeypatch: pytest.MonkeyPatch
):
    asked: dict[str, object] = {}

    def search(layout: object, store: object, question: str, **filters: object) -> list[Hit]:
        asked.update(filters, question=question)
        when = datetime(2026, 5, 1, tzinfo=UTC)
        return [
            Hit(0.9, "v1", "card", "v1", "c1", when, "learned the refund policy", "30 days", "x", "cpt", "promote", ())
        ]

    monkeypatch.setattr("agent.history.search.search", search)
    said = cld("history", "search", "refund?", "--stage", "cpt", "--since", "2026-05-01", "--limit", "3")
    assert asked == {
        "question": "refund?", "stage": "cpt", "since": "2026-05-01", "limit": 3, "kind": None, "source": None,
        "verdict": None,
    }  # fmt: skip
    assert "0.90  v1 (2026-05-01" in said.out and "learned the refund policy" in said.out
    assert cld("history", "search", "refund?", "--json").json["hits"][0]["id"] == "v1"
