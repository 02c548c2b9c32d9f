"""Orthogonal subspace fine-tuning: full weights learn, but only in the directions that mattered least so far.

Nayak et al. 2025, Sculpting Subspaces (arXiv:2504.07097), by peft's OSF. Every weight matrix is split by its singular
values; the larger part stays exactly what it is, and the smaller one learns orthogonally to it. No old data, no growth:
the version is plain weights, and the next stage splits those anew.
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
    """Orthogonal subspace fine-tuning.

    Attributes:
        full_weights: always; an adapter has no singular values to keep.
        kept_share: of each matrix's singular directions that stay, the largest first.
    """

    full_weights: bool = True
    kept_share: float = Field(default=0.5, ge=0.05, lt=1)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The plain model, split."""
    from learners import weights
    from learners.parts import subspace

    return subspace.split(weights.frozen(sources.parent, merge=True), sources.settings.kept_share)


def compose(run: Run) -> Recipe:
    """Keep the split exact behind every step, and put the matrices together again at the end."""
    from learners import weights
    from learners.parts import subspace

    return Recipe(after_step=(subspace.project,), finish=weights.merged)  # pyright: ignore
