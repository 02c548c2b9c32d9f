"""Adapt-retrieve-revise, the part that is trained: a model of the domain, which drafts.

Zhang et al. 2023, Reformulating Domain Adaptation of Large Language Models as Adapt-Retrieve-Revise
(arXiv:2310.03328). The domain's texts are read first, then its answers are learned. What the version then says is a
draft: evidence is looked up by it, and it is revised (`monitors.engines.revising`, setting `revise` of an engine).
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import row_numbers
from learners.parts.mix import Batch, Order, in_turn
from learners.parts.rows import Row
from learners.parts.views import text_rows

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Adapt-retrieve-revise.

    Attributes:
        text_epochs: passes over the texts of the selection, before the answers; 0 is plain fine-tuning on these.
    """

    text_epochs: int = Field(default=2, ge=0)


def prepare(sources: Sources) -> Material:
    """The answers' rows, and behind them the texts'."""
    settings: Settings = sources.settings
    material = sources.material()
    texts = [one for one in sources.others if one.kind == "text"] if settings.text_epochs else []
    rows: list[Row] = [row for one in texts for row in text_rows(one, sources.tokenizer, settings.max_length_tokens)]
    return replace(material, records=[*material.records, *texts], rows=[*material.rows, *rows])


def compose(run: Run) -> Recipe:
    """All passes over the texts, then all over the answers."""
    settings: Settings = run.settings
    answers = sum(len(rows) for record, rows in row_numbers.of_records(run) if record.kind != "text")

    def plan(order: Order) -> list[Batch]:
        texts = replace(order, epochs=settings.text_epochs if order.epochs else 0)
        every = range(len(order.lengths))
        return [*in_turn(texts, [(every[answers:], [])]), *in_turn(order, [(every[:answers], [])])]

    return Recipe(plan=plan, joined=True)
