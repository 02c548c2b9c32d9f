"""Distillation: the new data is learned while the answers stay near those of the parent.

Loss: L + alpha * distance(parent, student), on the new rows or on rehearsed ones: Jin et al. 2022, Lifelong
Pretraining (arXiv:2110.08534); Castellucci et al. 2021, Learning to Solve NLP Tasks in an Incremental Number of
Languages. On the new rows no old data is needed at all.
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.distill import Distance, Distillation, Source, Teacher

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Distillation.

    Attributes:
        distance: `logits`, `hidden` or `relational`, see `learners.parts.distill`. On new rows, the last two are not
            shared out: each of several processes reads all of them.
        source: `new` compares on what is learned, `rehearsal` on remembered rows.
        distill_weight: alpha; 0 is plain fine-tuning.
        temperature: of the softmax; the paper's relational distance takes 0.05.
        replay_share: part of each batch that is rehearsed where `source` asks for it.
    """

    distance: Distance = "logits"
    source: Source = "new"
    distill_weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=1.0, gt=0)
    replay_share: float = Field(default=0.33, ge=0, lt=1)


def compose(run: Run) -> Recipe:
    """The parent, frozen as it is before the first step, teaches."""
    settings: Settings = run.settings
    if not settings.distill_weight:
        return Recipe()
    term = Distillation(
        Teacher(run.model),
        distance=settings.distance,
        source=settings.source,
        weight=settings.distill_weight,
        temperature=settings.temperature,
    )
    rehearses = settings.source == "rehearsal"
    return Recipe(
        losses=(term,),
        replay_share=settings.replay_share if rehearses else 0.0,
        whole=settings.distance != "logits" and not rehearses,
    )
