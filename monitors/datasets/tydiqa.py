"""TyDi QA (Clark et al. 2020), the gold-passage task, in the SQuAD format its authors publish."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from monitors.datasets import prompts
from monitors.datasets.contract import ByHand, Content, DatasetError, Item, Row

__all__ = ["SOURCE", "rows", "tydiqa"]

SOURCE: Final = ByHand("google-research-datasets/tydiqa: tydiqa-goldp-v1.1-dev.json")


def rows(content: Content) -> Iterable[Row]:
    """One row a question, with its passage."""
    if not isinstance(content, dict) or "data" not in content:
        raise DatasetError('the SQuAD format is a JSON object with a list "data"')
    return [
        {**question, "context": paragraph["context"]}
        for article in content["data"]  # pyright: ignore[reportUnknownVariableType]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]


def tydiqa(row: Row) -> Item | None:
    """A question about a passage; a slice is a language, which the id begins with."""
    item = prompts.short_answer(row["question"], [answer["text"] for answer in row["answers"]], context=row["context"])
    return None if item is None else {"slice": str(row["id"]).partition("-")[0], **item}
