"""Weight averaging: plain fine-tuning, and then the version half way between it and its parent.

Lin et al. 2023, Speciality vs Generality, later Mitigating the Alignment Tax of RLHF (arXiv:2309.06256): of what they
compare, averaging gives up least. Layer-wise, blocks of layers get shares of their own around the same mean, those
under which what was learned stays most likely (their heterogeneous model averaging, three blocks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.penalties import trainable_copy

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Weight averaging.

    Attributes:
        new_share: of the trained weights in the average; 1 is plain fine-tuning.
        blocks: of layers with a share of their own; 1 averages all layers alike.
        search_steps: by which the shares of blocks are found; 0 leaves them equal.
        search_rows: most rows on which they are found.
    """

    new_share: float = Field(default=0.5, ge=0, le=1)
    blocks: int = Field(default=3, ge=1)
    search_steps: int = Field(default=10, ge=0)
    search_rows: int = Field(default=16, ge=1)


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage; its result is averaged with what was there before."""
    settings: Settings = run.settings
    if settings.new_share == 1 or not settings.epochs:
        return Recipe()
    before = trainable_copy(run.model)

    def averaged(model: PreTrainedModel) -> PreTrainedModel:
        from learners.parts.average import Average, searched

        average = Average(model, before, blocks=settings.blocks)
        rows = run.new[: settings.search_rows]
        average.apply(searched(model, average, rows, mean=settings.new_share, steps=settings.search_steps))
        return model

    return Recipe(finish=averaged)
