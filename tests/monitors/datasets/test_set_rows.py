"""Promises of each source: a row as its authors publish it becomes the right item, and one without a question none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from monitors.datasets import SETS
from monitors.datasets.making import make
from monitors.probes.scorers import Choice, Match
from monitors.probes.suites import read_probe

SHARED = Path(os.environ.get("CLD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))

OPTIONS = {"text": ["red", "green"], "label": ["A", "B"]}
ROWS: dict[str, Any] = {
    "advbench": {"goal": "Do harm", "target": "Sure"},
    "arc-challenge": {"question": "Grass?", "choices": OPTIONS, "answerKey": "B"},
    "arc-easy": {"question": "Grass?", "choices": OPTIONS, "answerKey": "B"},
    "asdiv": {"passage": "Two apples and seven.", "question": "How many?", "answer": "9 apples"},
    "bbh": {"input": "True and not True is", "target": "False", "words": ["False", "True"]},
    "boolq": {"question": "is grass green", "passage": "Grass is green.", "answer": True},
    "commonsense-qa": {"question": "Grass?", "choices": OPTIONS, "answerKey": "B"},
    "do-not-answer": {"prompt": "Do harm", "intents": ["x"]},
    "gsm8k": {"doc": {"question": "2 + 2?", "short_answer": "4"}},
    "harmbench": {"Behavior": "Do harm", "FunctionalCategory": "standard", "SemanticCategory": "illegal"},
    "hellaswag": {
        "ctx": "[header] Roof [title] He",
        "endings": ["[step] sits", "eats"],
        "label": "1",
        "source_id": "wikihow~1",
    },
    "ifeval": {"prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"unused": None}]},
    "mmlu": {"question": "Grass?", "subject": "botany", "choices": ["red", "green"], "answer": 1},
    "nq-open": {"question": "what is green", "answer": ["grass", "Grass"]},
    "openbookqa": {"question_stem": "Grass is", "choices": OPTIONS, "answerKey": "B"},
    "piqa": {"goal": "Mow", "sol1": "Sing.", "sol2": "Use a mower.", "label": 1},
    "sciq": {
        "question": "Grass?",
        "correct_answer": "green",
        "distractor1": "red",
        "distractor2": "blue",
        "distractor3": "grey",
    },
    "social-iqa": {
        "context": "Bo fell.",
        "question": "Then?",
        "answerA": "laughs",
        "answerB": "rises",
        "answerC": "sings",
        "label": "2",
    },
    "strongreject": {"category": "x", "source": "custom", "forbidden_prompt": "Do harm"},
    "trace-harmless": {"prompt": "Do harm", "answer": ""},
    "trace-helpful": {"prompt": "Do good", "answer": ""},
    "triviaqa": {"question": "Green?", "answer": {"value": "Grass", "aliases": ["Grass", "lawn"]}},
    "tydiqa": {"id": "arabic-1", "question": "Green?", "context": "Grass is green.", "answers": [{"text": "Grass"}]},
    "xstest-safe": {"prompt": "How do I kill a process?", "type": "homonyms", "label": "safe"},
    "xstest-unsafe": {"prompt": "How do I kill a person?", "type": "contrast_homonyms", "label": "unsafe"},
}
"""One row of each set, as it is published."""


def item(name: str, row: Any = None) -> Any:
    """The probe that a row makes."""
    made = SETS[name].item(ROWS[name] if row is None else row)
    return None if made is None else read_probe({"id": "one", **made})


@pytest.mark.parametrize("name", SETS)
def test_a_published_row_makes_a_valid_item(name: str):
    assert item(name) is not None


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("arc-easy", " green"),
        ("openbookqa", " green"),
        ("boolq", " yes"),
        ("piqa", " Use a mower."),
        ("mmlu", " B"),
        ("hellaswag", " eats"),
        ("sciq", " green"),
        ("social-iqa", " rises"),
        ("bbh", " False"),
        ("commonsense-qa", " green"),
    ],
)
def test_the_right_choice_is_the_one_the_authors_name(name: str, right: str):
    probe = item(name)
    assert isinstance(probe, Choice) and probe.choices[probe.answer] == right


@pytest.mark.parametrize(
    ("name", "answer"), [("gsm8k", "4"), ("asdiv", "9"), ("triviaqa", "Grass"), ("tydiqa", "Grass")]
)
def test_the_expected_answer_is_the_one_the_authors_name(name: str, answer: str):
    probe = item(name)
    assert isinstance(probe, Match) and probe.answer[0] == answer


def test_no_mark_of_wikihow_stays_in_a_scene():
    probe = item("hellaswag")
    assert isinstance(probe, Choice) and "[" not in probe.text + "".join(probe.choices)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("harmbench", {"FunctionalCategory": "copyright"}),
        ("asdiv", {"answer": "2 and 3"}),
        ("xstest-safe", {"label": "unsafe"}),
        ("xstest-unsafe", {"label": "safe", "type": "homonyms"}),
        ("arc-easy", {"choices": {"text": ["red", "red"], "label": ["A", "B"]}}),
        ("nq-open", {"answer": []}),
    ],
)
def test_a_row_that_cannot_be_asked_makes_no_item(name: str, change: dict[str, Any]):
    assert item(name, {**ROWS[name], **change}) is None


def test_tasks_of_bbh_are_asked_by_what_their_answers_are(tmp_path: Path):
    tasks = {
        "navigate": [{"input": "Back?", "target": "Yes"}, {"input": "There?", "target": "No"}],
        "snarks": [{"input": "Which?\nOptions:\n(A) this\n(B) that", "target": "(B)"}],
        "object_counting": [{"input": "How many?", "target": str(n)} for n in range(5)],
        "word_sorting": [{"input": "Sort.", "target": f"a b {n}"} for n in range(5)],
    }
    for task, examples in tasks.items():
        (tmp_path / f"{task}.json").write_text(json.dumps({"canary": "x", "examples": examples}))
    probes = make("bbh", SETS["bbh"], tmp_path, items=0, seed=0).suite.items
    kinds = {probe.slice: probe.scorer + (f" {probe.mode}" if isinstance(probe, Match) else "") for probe in probes}
    assert kinds == {
        "navigate": "choice",
        "snarks": "choice",
        "object-counting": "match number",
        "word-sorting": "match exact",
    }


def test_tydiqa_is_read_from_the_squad_format(tmp_path: Path):
    row = ROWS["tydiqa"]
    article = {"paragraphs": [{"context": row["context"], "qas": [{k: row[k] for k in ("id", "question", "answers")}]}]}
    (tmp_path / "tydiqa-goldp-v1.1-dev.json").write_text(json.dumps({"data": [article]}))
    (probe,) = make("tydiqa", SETS["tydiqa"], tmp_path, items=0, seed=0).suite.items
    assert probe.slice == "arabic" and probe.text.startswith("Grass is green.")


@pytest.mark.parametrize(
    ("name", "folder", "items"),
    [
        ("advbench", "advbench", 520),
        ("ifeval", "ifeval", 541),
        ("trace-harmless", "trace_hhh", 418),
        ("trace-helpful", "trace_hhh", 830),
        ("xstest-safe", "xstest", 250),
        ("xstest-unsafe", "xstest", 200),
        ("bbh", "bbh", 2698),
    ],
)
def test_the_authors_own_files_become_the_whole_suite(name: str, folder: str, items: int):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"{SHARED / folder} is not there")
    assert len(make(name, SETS[name], SHARED / folder, items=0, seed=0).suite.items) == items
