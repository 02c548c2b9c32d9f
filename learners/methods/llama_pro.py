"""LLaMA Pro: the model grows deeper, and only the new blocks learn.

Wu et al. 2024 (arXiv:2401.02415). Copies of blocks that add nothing at first are inserted at even distances; every
weight of the parent stays what it is, so without the new blocks the parent is back. The version is a plain model with
more layers, which costs time at every answer; a next stage inserts new blocks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]


class Settings(contract.Settings):
    """LLaMA Pro.

    Attributes:
        learning_rate: the paper's; whole blocks learn at a smaller one than adapters.
        full_weights: always; the new blocks are whole ones.
        groups: of neighbouring layers, each followed by new blocks.
        blocks_each: new blocks behind a group.
    """

    learning_rate: float = Field(default=2e-4, gt=0)
    full_weights: bool = True
    groups: int = Field(default=8, ge=1)
    blocks_each: int = Field(default=1, ge=1)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The plain model, frozen, with its new blocks; unchanged where nothing will be learned."""
    from learners import weights
    from learners.parts import blocks

    settings: Settings = sources.settings
    model = weights.frozen(sources.parent, merge=True)
    if settings.epochs:
        blocks.expanded(model, groups=settings.groups, each=settings.blocks_each)
    return model


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage."""
    return Recipe()
