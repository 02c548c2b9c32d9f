"""Task-adaptive pre-training: the texts of a task, and the texts of a pool that are most like them, are read first.

Gururangan et al. 2020 (arXiv:2004.10964), with their augmented form: for each question the k nearest texts of a larger
pool, which here are the text records of the same selection. They are learned as plain language before the answers are.
A way to learn a task better, not one against forgetting: its authors never measured that.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import mistakes, row_numbers
from learners.parts.mix import in_turn
from learners.parts.rows import Row
from learners.parts.views import spoken, text_rows
from learners.records import Record

if TYPE_CHECKING:
    from learners.parts.mix import Batch, Order

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Task-adaptive pre-training.

    Attributes:
        neighbours: k, texts of the pool that are taken for each question; 0 reads the task's own texts alone.
        selection: `nearest`, or `random` as a control: as many texts, drawn.
        own_texts: read the questions themselves as language; without them and without neighbours it is plain
            fine-tuning.
    """

    neighbours: int = Field(default=50, ge=0)
    selection: Literal["nearest", "random"] = "nearest"
    own_texts: bool = True


def prepare(sources: Sources) -> Material:
    """The stage's rows, and behind them the texts, which `compose` brings forward."""
    settings: Settings = sources.settings
    material = sources.material()
    questions = ["\n\n".join(spoken(record)[:-1]) for record in material.records]
    pool = sorted((one for one in sources.others if one.kind == "text"), key=lambda one: one.id)
    chosen = [pool[index] for index in _chosen(questions, [str(one.content["text"]) for one in pool], sources)]
    texts = [*chosen, *(_as_text(one, question) for one, question in _own(material.records, questions, settings))]
    limit = settings.max_length_tokens
    read: list[Row] = [row for one in texts for row in text_rows(one, sources.tokenizer, limit)]
    return replace(material, records=[*material.records, *chosen], rows=[*material.rows, *read])


def _own(records: Sequence[Record], questions: Sequence[str], settings: Settings) -> list[tuple[Record, str]]:
    return [pair for pair in zip(records, questions, strict=True) if pair[1]] if settings.own_texts else []


def _as_text(record: Record, text: str) -> Record:
    return record.model_copy(update={"kind": "text", "content": {"text": text}})


def _chosen(questions: Sequence[str], pool: Sequence[str], sources: Sources) -> list[int]:
    """Indices of the pool, ascending: it is sorted by identity, so the order of arrival has no part in it."""
    settings: Settings = sources.settings
    if not settings.neighbours or not pool:
        return []
    shelf = mistakes.Texts(pool)
    near = {index for one in questions for index in shelf.supporting(one, most=settings.neighbours)}
    if settings.selection == "nearest":
        return sorted(near)
    draw = random.Random(f"{sources.seed}:control")  # noqa: S311 - sampling, not secrecy
    return sorted(draw.sample(range(len(pool)), len(near)))


def compose(run: Run) -> Recipe:
    """All epochs of the texts, then all of the answers."""
    answers = sum(len(rows) for record, rows in row_numbers.of_records(run) if record.kind != "text")

    def plan(order: Order) -> list[Batch]:
        texts = range(answers, len(order.lengths))
        return in_turn(order, [(texts, []), (range(answers), [])])

    return Recipe(plan=plan, joined=True)
