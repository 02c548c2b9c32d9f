"""Linked packing: records about one thing (a product, an order, a case) are learned in one sequence.

Ma et al. 2023, EcomGPT-CT (arXiv:2312.15696). Fields that catalogues keep apart (title, attributes, reviews, questions)
become neighbours in one context, so that what one says can be predicted from the other. Records are nodes, equal field
values and shared identifiers are edges; a random walk takes every record once, and its texts are joined, titles first,
and split into rows of at most `max_length_tokens`. Where the paper walks over types of nodes, a walk here takes any
linked record. Loss: the plain one.
"""

from __future__ import annotations

import re
from dataclasses import replace

from pydantic import Field, field_validator

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.link import walks
from learners.parts.views import text_rows
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Linked packing.

    Attributes:
        link_fields: content fields that link two records when their values are equal.
        identifier: regular expression of what links two texts, e.g. article numbers; empty for nothing. Without fields
            and identifier every record is learned alone, which is plain fine-tuning.
        replay_share: part of each batch that is rehearsed beside the new rows.
    """

    link_fields: tuple[str, ...] = ("title", "product", "category", "query")
    identifier: str = r"\b[A-Z]{2,}[-_]?\d{2,}\b"
    replay_share: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("identifier")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"identifier {pattern!r} is no regular expression: {error}") from error
        return pattern


def prepare(sources: Sources) -> Material:
    """Join every walk over linked records into one text."""
    settings: Settings = sources.settings
    material = sources.material()
    records = material.records
    linked = walks(records, fields=settings.link_fields, identifier=settings.identifier, seed=sources.seed)
    rows = [
        row
        for walk in linked
        for row in text_rows(
            _joined([records[index] for index in walk]), material.tokenizer, settings.max_length_tokens
        )
    ]
    return replace(material, rows=rows)


def _joined(records: list[Record]) -> Record:
    """One text of several, each title said once, before its text."""
    if len(records) == 1:
        return records[0]
    titles: list[str] = []
    parts: list[str] = []
    for record in records:
        title = str(record.content.get("title") or "")
        if title and title not in titles:
            titles.append(title)
            parts.append(title)
        parts.append(str(record.content["text"]))
    return records[0].model_copy(update={"content": {"text": "\n".join(parts)}})


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage but rehearsal, where it is asked for."""
    return Recipe(replay_share=run.settings.replay_share, joined=True)
