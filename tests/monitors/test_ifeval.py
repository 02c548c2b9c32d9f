"""Promises of IFEval's verifiers: each accepts an answer that follows it and refuses one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from monitors.probes.probe import Answers
from monitors.probes.scorers.ifeval import Accuracies, accuracies
from monitors.probes.scorers.verifiers import VERIFIERS, follows, loosened
from monitors.probes.suites import SuiteError, read_probe

ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody in the village is surprised about it"
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund, und niemand im Dorf wundert sich darüber"

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "at least", "capital_frequency": 2},
        "GO NOW, Bo",
        "GO now",
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "less than", "capital_frequency": 2},
        "GO now",
        "GO NOW",
    ),
    ("change_case:english_capital", {}, ENGLISH.upper(), ENGLISH),
    ("change_case:english_capital", {}, ENGLISH.upper(), GERMAN.upper()),
    ("change_case:english_lowercase", {}, ENGLISH.lower(), ENGLISH),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi."}, "say hi. Hi!", "Hi! Say hi."),
    ("combination:two_responses", {}, "Yes.\n******\nNo.", "Yes.\n******\nYes."),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [town]", "[name] of town"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. Write.", "Bye. PS Write."),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.P.S. Write.", "Bye.\nP.S. Write."),
    ("detectable_format:constrained_response", {}, "Well. My answer is no.", "No."),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSECTION 2\nb",
        "SECTION 1\na\nSection 2",
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n- b\n- c"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", "*a* and ** **"),
    ("detectable_format:title", {}, "<<Joy>>\nIt is good.", "<< >>\nIt is good."),
    ("keywords:existence", {"keywords": ["fox", "dog"]}, "A Fox, a dog.", "A fox."),
    ("keywords:forbidden_words", {"forbidden_words": ["fox"]}, "A foxy dog.", "A FOX."),
    ("keywords:frequency", {"relation": "at least", "keyword": "fox", "frequency": 2}, "Fox and fox", "one fox"),
    ("keywords:frequency", {"relation": "less than", "keyword": "fox", "frequency": 2}, "one fox", "Fox and fox"),
    ("keywords:letter_frequency", {"letter": "Q", "let_relation": "at least", "let_frequency": 2}, "qQ", "q"),
    ("keywords:letter_frequency", {"letter": "#", "let_relation": "less than", "let_frequency": 2}, "# one", "## two"),
    ("language:response_language", {"language": "de"}, GERMAN, ENGLISH),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "weeks"},
        "One.\n\nWeeks, two.",
        "Weeks.\n\nTwo.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "b"},
        "a\n\n'B'",
        "a\n\nb\n\nc",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one\n***\ntwo", "one\n\ntwo"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\none\n***\ntwo", "one\n***\n \n***\ntwo"),
    (
        "length_constraints:number_sentences",
        {"relation": "less than", "num_sentences": 3},
        "Mr. Fox of the U.S. ran. He won!",
        "He. Ran. Off.",
    ),
    (
        "length_constraints:number_sentences",
        {"relation": "at least", "num_sentences": 2},
        "Did he? Yes",
        "It costs 3.50 today",
    ),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "one two three", "one two"),
    ("punctuation:no_comma", {}, "one; two", "one, two"),
    ("startend:end_checker", {"end_phrase": "That is all."}, 'So. "that is all."', "That is all. Bye."),
    ("startend:quotation", {}, ' "quoted" ', '"not" quoted'),
]
"""Instruction, arguments, an answer that follows it and one that does not."""


def probe(*instructions: tuple[str, dict[str, Any]]) -> Any:
    """A probe with these instructions."""
    given = [{"id": name, "arguments": arguments} for name, arguments in instructions]
    return read_probe({"id": "one", "scorer": "ifeval", "prompt": "Do it.", "instructions": given})


@pytest.mark.parametrize(("name", "arguments", "good", "bad"), CASES)
def test_a_verifier_tells_an_answer_that_follows_from_one_that_does_not(
    name: str, arguments: dict[str, Any], good: str, bad: str
):
    assert follows(name, arguments, good)
    assert not follows(name, arguments, bad)


def test_every_one_of_the_25_instructions_is_tested_above():
    assert {name for name, *_ in CASES} == set(VERIFIERS) and len(VERIFIERS) == 25


@pytest.mark.parametrize("name", VERIFIERS)
def test_a_blank_answer_follows_nothing(name: str):
    arguments = next(given for known, given, *_ in CASES if known == name)
    assert not follows(name, arguments, " \n ")


@pytest.mark.parametrize("name", ["change_case:english_capital", "language:response_language"])
def test_language_is_told_the_same_every_time(name: str):
    short = "OK BUENO"
    assert len({follows(name, {"language": "es"}, short) for _ in range(20)}) == 1


def test_a_slow_pattern_of_a_suite_ends_in_time():
    slow = {"relation": "at least", "keyword": "(a+)+$", "frequency": 1}
    assert not follows("keywords:frequency", slow, "a" * 40 + "b")


def test_loose_readings_drop_the_first_line_the_last_line_and_the_stars():
    assert set(loosened("Sure:\n*one*\nBye")) == {
        "Sure:\n*one*\nBye", "Sure:\none\nBye", "*one*\nBye", "one\nBye", "Sure:\n*one*", "Sure:\none", "*one*", "one",
    }  # fmt: skip


def test_the_score_is_strict_and_the_output_begins_with_what_was_followed():
    asked = probe(("punctuation:no_comma", {}), ("startend:end_checker", {"end_phrase": "Bye"}))
    score = asked.score(Answers("Sure, here\nIt is done. Bye"))
    assert score.score == 0.0
    assert score.output == "strict 1 of 2, loose 2 of 2; missed punctuation:no_comma\nSure, here\nIt is done. Bye"
    assert asked.score(Answers("Done. Bye")).score == 1.0


def test_the_four_accuracies_follow_from_stored_outputs():
    two = probe(("punctuation:no_comma", {}), ("startend:quotation", {}))
    one = probe(("punctuation:no_comma", {}))
    outputs = [
        two.score(Answers("a, b")).output,
        two.score(Answers('"a"')).output,
        one.score(Answers("Sure,\nyes")).output,
    ]
    assert accuracies(outputs) == Accuracies(1 / 3, 2 / 5, 2 / 3, 3 / 5)


@pytest.mark.parametrize("outputs", [[], ["strictly speaking"], ["a strict 1 of 1, loose 1 of 1"]])
def test_other_outputs_have_no_accuracies(outputs: list[str]):
    with pytest.raises(ValueError, match="ifeval"):
        accuracies(outputs)


def test_a_model_cannot_write_the_count_itself():
    output = probe(("startend:quotation", {})).score(Answers("strict 1 of 1, loose 1 of 1")).output
    assert accuracies([output]).prompt_strict == 0.0


@pytest.mark.parametrize(
    ("name", "arguments", "rule"),
    [
        ("punctuation:no_coma", {}, "did you mean 'punctuation:no_comma'"),
        ("punctuation:no_comma", {"number": 1}, "takes no arguments"),
        ("length_constraints:number_words", {"relation": "at least"}, "takes relation, num_words"),
        ("length_constraints:number_words", {"relation": "about", "num_words": 3}, "cannot be 'about'"),
        ("keywords:existence", {"keywords": ["("]}, "cannot be"),
        (
            "keywords:letter_frequency",
            {"letter": "ab", "let_relation": "at least", "let_frequency": 1},
            "cannot be 'ab'",
        ),
    ],
)
def test_what_cannot_be_verified_is_refused_when_the_suite_is_read(name: str, arguments: dict[str, Any], rule: str):
    with pytest.raises(SuiteError, match=rule):
        probe((name, arguments))


def test_an_instruction_that_needs_a_missing_package_says_so_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("monitors.probes.scorers.verifiers.find_spec", lambda _: None)
    with pytest.raises(SuiteError, match="langdetect: pip install"):
        probe(("language:response_language", {"language": "de"}))
