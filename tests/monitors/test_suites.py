"""Suites: what a file may say, what is refused and how the refusal helps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.config import Config
from monitors.probes.scorers import SCORERS
from monitors.probes.suites import SuiteError, load_suite, read_probe, shipped_suites, write_suite

REPORTING = ("identity", "sycophancy", "toxicity")
HEADER = "suite: mine\nrole: target\nitems:\n"
CHOICE = "- {id: a, scorer: choice, prompt: What?, choices: [x, y], answer: 0}\n"


def refusal_of(folder: Path, text: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_text(text)
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    return str(caught.value)


@pytest.mark.parametrize("path", shipped_suites().values(), ids=shipped_suites().keys())
def test_every_shipped_suite_loads_and_is_named_like_its_file(path):
    suite = load_suite(path)
    assert suite.suite == path.stem
    of_norm, reports = suite.suite.startswith("norm-"), suite.suite in REPORTING
    assert suite.role == ("target" if of_norm else "general" if reports else suite.suite)


@pytest.mark.parametrize("name", REPORTING)
def test_a_suite_that_only_reports_is_no_default_and_large_enough(name):
    assert name not in Config().probes.suites
    items = load_suite(shipped_suites()[name]).items
    assert len(items) >= (24 if name == "toxicity" else 40)
    assert len({str(item.prompt) for item in items}) == len(items)


@pytest.mark.parametrize("suffix", ["yaml", "jsonl"])
def test_a_written_suite_is_read_back_equal(tmp_path, suffix):
    suite = load_suite(shipped_suites()["instruction"])
    copy = tmp_path / f"copy.{suffix}"
    write_suite(copy, suite)
    assert load_suite(copy) == suite
    assert load_suite(copy).digest == suite.digest


def test_layout_and_defaults_do_not_change_the_digest(tmp_path):
    (tmp_path / "a.yaml").write_text(HEADER + CHOICE)
    (tmp_path / "b.yaml").write_text("# hi\nrole: target\nsuite: mine\nitems:\n" + CHOICE[:-2] + ", template: chat}")
    assert load_suite(tmp_path / "a.yaml").digest == load_suite(tmp_path / "b.yaml").digest


@pytest.mark.parametrize("change", [("answer: 0", "answer: 1"), ("What?", "Who?"), ("id: a", "id: b")])
def test_any_changed_item_changes_the_digest(tmp_path, change):
    (tmp_path / "a.yaml").write_text(HEADER + CHOICE)
    (tmp_path / "b.yaml").write_text(HEADER + CHOICE.replace(*change))
    assert load_suite(tmp_path / "a.yaml").digest != load_suite(tmp_path / "b.yaml").digest


def test_all_problems_are_named_by_file_item_and_key_at_once(tmp_path):
    message = refusal_of(
        tmp_path,
        HEADER + "- {id: a, scorer: chioce}\n- {id: b, scorer: match, promt: x, answer: y}\n",
    )
    assert "mine.yaml: item 'a' (number 1): key 'scorer' is 'chioce', did you mean 'choice'?" in message
    assert "mine.yaml: item 'b' (number 2): key 'prompt' is missing" in message
    assert "mine.yaml: item 'b' (number 2): unknown key 'promt', did you mean 'prompt'?" in message


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("{id: a, scorer: choice, prompt: q, choices: [x, y], answer: 2}", "numbered 0 to 1"),
        ("{id: a, scorer: choice, prompt: q, choices: [x, x], answer: 0}", "must be different"),
        ("{id: a, scorer: match, prompt: q, mode: number, answer: many}", "holds no number"),
        ("{id: a, scorer: match, prompt: q, mode: regex, answer: '(' }", "no valid pattern"),
        ("{id: a, scorer: match, prompt: q, answer: 45}", "put it in quotes"),
        ("{id: a, scorer: match, prompt: 2024-01-01, answer: x}", "put it in quotes"),
        ("{id: a, scorer: instruction, prompt: q, checks: [{kind: upercase, value: true}]}", "did you mean 'upper"),
        ("{id: a, scorer: instruction, prompt: q, checks: [{kind: word_count, value: few}]}", "takes a number"),
        ("{id: a, scorer: refusal, prompt: q, refuse: No.}", "give both, or neither"),
        ("{id: a b, scorer: match, prompt: q, answer: x}", "key 'id'"),
        ("just text", "an item is a mapping"),
    ],
)
def test_an_item_that_breaks_a_rule_is_refused_with_the_rule(tmp_path, item, expected):
    assert expected in refusal_of(tmp_path, HEADER + "- " + item)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEADER + CHOICE + CHOICE, "two items have the id 'a'"),
        (HEADER + CHOICE.replace("id: a", "id: a, id: b"), "key 'id' stands twice"),
        (HEADER.replace("role", "roll") + CHOICE, "unknown key 'roll', did you mean 'role'?"),
        (HEADER.replace("target", "goal") + CHOICE, "key 'role' is 'goal'"),
        (HEADER, "key 'items'"),
        ("items: [", "no valid YAML"),
        ("- a", "a suite is a mapping"),
        ("suite: !!python/object/apply:os.system [true]", "no valid YAML"),
    ],
)
def test_a_file_that_is_no_suite_is_refused_with_the_reason(tmp_path, text, expected):
    assert expected in refusal_of(tmp_path, text)


def test_a_json_line_that_is_cut_off_is_named_by_its_number(tmp_path):
    text = json.dumps({"suite": "mine", "role": "target"}) + '\n{"id": "a", "scor'
    assert "mine.jsonl, line 2" in refusal_of(tmp_path, text, "mine.jsonl")


def test_a_json_lines_file_without_a_header_line_is_refused(tmp_path):
    assert "first line names the suite" in refusal_of(tmp_path, '{"id": "a"}\n', "mine.jsonl")


def test_a_missing_or_oversized_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(SuiteError, match="cannot be read"):
        load_suite(tmp_path / "absent.yaml")
    monkeypatch.setattr("monitors.probes.suites.MAX_SUITE_BYTES", 10)
    assert "at most 10" in refusal_of(tmp_path, HEADER + CHOICE)


def test_the_scorer_table_names_each_class_by_its_own_key():
    for name, kind in SCORERS.items():
        assert kind.model_fields["scorer"].default == name
        assert kind.__module__ == f"monitors.probes.scorers.{name}"


def test_a_conversation_and_a_system_turn_become_turns_in_order():
    roles = ("user", "assistant", "user")
    messages = [{"role": role, "content": str(place)} for place, role in enumerate(roles, start=1)]
    probe = read_probe({"id": "a", "scorer": "match", "system": "0", "prompt": messages, "answer": "x"})
    assert [turn.content for turn in probe.as_prompt().turns] == ["0", "1", "2", "3"]
    assert probe.text == "3"


def test_a_plain_probe_is_continued_as_it_stands():
    probe = read_probe({"id": "a", "scorer": "match", "template": "plain", "prompt": "The sky is", "answer": "blue"})
    assert probe.as_prompt().text == "The sky is"
    assert not probe.as_prompt().turns
