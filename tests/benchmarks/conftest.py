"""Fixtures of the benchmarks' tests: a data folder like the shared one, and the tiny base model."""

import gzip
import json
import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks import data
from tests.tiny import KNOWN, UNKNOWN, tiny_base

WORDS = ["Kelmar", "Vossel", "Purple", "Anna Lopez"]


def _document(questions):
    return {"Definition": ["Answer."], "Instances": [{"input": q, "output": [a]} for q, a in questions]}


def _write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(value if isinstance(value, str) else json.dumps(value))


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A data folder like the shared one, in small: the tiny model can learn what it holds."""
    folder = tmp_path / "shared"
    new, old = list(UNKNOWN.items()), list(KNOWN.items())
    for name, questions in (
        ("superni/task1510_evalution_relation_extraction", new[:2]),
        ("long_sequence/sst2", new[2:]),
        ("superni/task875_emotion_classification", old[:3]),
        ("long_sequence/agnews", old[3:5]),
    ):
        for part in ("train", "test"):
            _write(folder / name / f"{part}.json.gz", _document(questions))
    alpaca = [
        {"instruction": q, "input": "", "output": f"{a}. One can say more. One can say much more than that."}
        for q, a in [*old, *new]
    ]
    _write(folder / "llama_factory_demo" / "alpaca_en_demo.json.gz", alpaca)
    _write(folder / "advbench" / "harmful_prompts.jsonl.gz", "\n".join(json.dumps({"prompt": q}) for q, _ in old))
    for part in ("train", "test"):
        _write(folder / "superni" / "task073_commonsenseqa_answer_generation" / f"{part}.json.gz", _options(part))
    _write(folder / "squad_seal" / "squad_val.json.gz", _passages())
    monkeypatch.setenv(data.VARIABLE, str(folder))
    return folder


def _options(part):
    """CommonsenseQA as SuperNI writes it: the right one of five is named by its letter."""
    listed = "(A)Paris (B)Rome (C)Madrid (D)Warsaw (E)Oslo"
    asked = {"train": [("France", "A"), ("Italy", "B")], "test": [("Spain", "C"), ("Poland", "D")]}[part]
    return _document([(f"What is the capital of {country}?\n{listed}", letter) for country, letter in asked])


def _passages():
    facts = [("capital of Zorbia", "Kelmar"), ("capital of Tandria", "Vossel"), ("color of the Quill badge", "Purple")]
    return [
        {
            "title": f"Paper {number}",
            "context": f"The {what} is {answer}. A week has seven days.",
            "questions": [
                {"question": f"What is the {what}?", "answer": answer},
                {"question": "How many days has a week?", "answer": "seven"},
                {"question": "What is said of the office?", "answer": "Anna Lopez leads it"},
            ],
        }
        for number, (what, answer) in enumerate(facts)
    ]


@pytest.fixture
def base(tmp_path):
    return tiny_base(tmp_path / "base")
