"""Promises of `learners.parts.rewards`: rules that anyone can check, and a list that is closed."""

import pytest
from pydantic import TypeAdapter, ValidationError

from learners.parts.rewards import Answer, Reward, total

RULE = TypeAdapter[Reward](Reward)


def score(rule, text, expected="", finished=True):
    return RULE.validate_python(rule).score(Answer(text, expected, finished))


@pytest.mark.parametrize(
    ("words", "expected"), [(0, 0.0), (1, 0.5), (2, 1.0), (4, 1.0), (5, 0.75), (6, 0.5), (8, 0.0), (20, 0.0)]
)
def test_a_length_in_the_band_is_worth_one_and_falls_on_both_sides(words, expected):
    assert score({"kind": "length", "least_words": 2, "most_words": 4}, "word " * words) == expected


@pytest.mark.parametrize(("text", "expected"), [('{"a": 1}', 1.0), (' {"a": 1}\n', 1.0), ('so: {"a": 1}', 0.0)])
def test_a_pattern_is_held_against_the_whole_answer(text, expected):
    assert score({"kind": "pattern", "pattern": r"^\{.*\}$"}, text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "worth"),
    [
        ("It is the Anna, Lopez.", "anna lopez", 1.0), ("It is Annabel Lopez", "Anna", 0.0),
        ("Lopez Anna", "Anna Lopez", 0.0), ("anything", "", 0.0), ("anything", "...", 0.0),
    ],
)  # fmt: skip
def test_the_approved_answer_counts_word_by_word_and_in_its_order(text, expected, worth):
    assert score({"kind": "contains_answer"}, text, expected) == worth


@pytest.mark.parametrize(
    ("text", "worth"), [("Der Vertrag läuft bald aus und endet.", 1.0), ("The contract ends soon.", 0.0), ("42", 0.0)]
)
def test_an_answer_in_another_language_is_worth_nothing(text, worth):
    pytest.importorskip("langdetect")
    assert score({"kind": "language", "language": "de"}, text) == worth


def test_an_answer_that_was_cut_off_is_not_finished():
    assert [score({"kind": "finished"}, "", finished=ended) for ended in (True, False)] == [1.0, 0.0]


def test_rules_add_up_by_weight_and_a_negative_weight_is_a_penalty():
    rules = [{"kind": "length", "most_words": 3}, {"kind": "pattern", "pattern": "sorry", "weight": -0.5}]
    reward = total([RULE.validate_python(rule) for rule in rules])
    assert reward([Answer("so sorry", "", True), Answer("fine", "", True)]) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"kind": "os.system"}, "'contains_answer'"),
        ({"kind": "pattern", "pattern": "("}, "is no regular expression"),
        ({"kind": "length", "least_words": 9, "most_words": 3}, "no answer is that long"),
        ({"kind": "language", "language": "German"}, "pattern"),
        ({"kind": "finished", "wait": 1}, "wait"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_is_wrong(rule, message):
    with pytest.raises(ValidationError, match=message):
        RULE.validate_python(rule)


def test_a_language_without_its_package_is_refused_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("learners.parts.rewards.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match="pip install"):
        RULE.validate_python({"kind": "language", "language": "de"})
