"""BIG-Bench Hard (Suzgun et al. 2022), as its authors publish it: one JSON file a task.

A task whose answers are few words, or options that the question lists, is asked by likelihood; of the four others the
generated text is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, cast

from monitors.datasets import prompts
from monitors.datasets.contract import ByHand, Content, DatasetError, Item, Row

__all__ = ["SOURCE", "TASKS", "bbh", "rows"]

SOURCE: Final = ByHand("suzgunmirac/BIG-Bench-Hard: bbh/*.json")

TASKS: Final = (
    "boolean_expressions", "causal_judgement", "date_understanding", "disambiguation_qa", "dyck_languages",
    "formal_fallacies", "geometric_shapes", "hyperbaton", "logical_deduction_five_objects",
    "logical_deduction_seven_objects", "logical_deduction_three_objects", "movie_recommendation",
    "multistep_arithmetic_two", "navigate", "object_counting", "penguins_in_a_table",
    "reasoning_about_colored_objects", "ruin_names", "salient_translation_error_detection", "snarks",
    "sports_understanding", "temporal_sequences", "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects", "tracking_shuffled_objects_three_objects", "web_of_lies",
    "word_sorting",
)  # fmt: skip
"""The 27 files of the 23 tasks."""

_OPTION: Final = re.compile(r"^\(([A-Z])\)", re.MULTILINE)
_MOST_WORDS: Final = 3


def rows(content: Content) -> Iterable[Row]:
    """The examples of one task, each with the answers that the whole task knows where those are few."""
    examples = cast(dict[str, Any], content).get("examples") if isinstance(content, dict) else None
    if not isinstance(examples, list):
        raise DatasetError('a task of BIG-Bench Hard is a JSON object with a list "examples"')
    listed = cast(list[dict[str, str]], examples)
    words = sorted({example["target"] for example in listed})
    few = words if 2 <= len(words) <= _MOST_WORDS and not any("(" in word for word in words) else []
    return [{**example, "words": few} for example in listed]


def bbh(row: Row) -> Item | None:
    """A question by the likelihood of its possible answers, or else by the text that is generated."""
    target = row["target"].strip()
    choices = row["words"] or [f"({letter})" for letter in _OPTION.findall(row["input"])]
    if target in choices:
        return prompts.cloze(f"{row['input']}\nAnswer:", choices, choices.index(target))
    if choices:
        return None
    mode = "number" if re.fullmatch(r"-?\d+", target) else "exact"
    prompt = f"{row['input']}\nWrite the answer only."
    return {"scorer": "match", "mode": mode, "prompt": prompt, "answer": [target], "max_new_tokens": 64}
