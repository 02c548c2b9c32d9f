"""Orthogonal subspace fine-tuning: full weights learn, but only in the directions that mattered least so far.

Nayak et al. 2025, Sculpting Subspaces (arXiv:2504.07097). Every weight matrix is split by its singular values; the
larger part stays exactly what it is, and the smaller one learns orthogonally to it. No old data, no growth: the version
is plain weights, and the next stage splits those anew.
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
        learning_rate: of whole matrices, far below an adapter's. SmolLM2 (bfloat16, H100) on 60 records of task1510,
            30 steps of 4, mean loss of the last 15 in nats: 0.10 at 2e-5, 0.11 at 5e-5, 0.19 at 1e-4, 0.22 at 2e-4, and
            with another seed 1.07 at 5e-4, where the loss first rose to 12.9. The first batch of a second task then
            has 12.7 nats at 2e-5, and 18 to 20 at 5e-5 to 2e-4. No smaller rate was tried.
        full_weights: always; an adapter has no singular values to keep.
        kept_share: of each matrix's singular directions that stay, the largest first.
    """

    learning_rate: float = Field(default=2e-5, gt=0)
    full_weights: bool = True
    kept_share: float = Field(default=0.5, ge=0.05, lt=1)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The plain model, split; whole where nothing will be learned."""
    from learners import weights
    from learners.parts import subspace

    model = weights.frozen(sources.parent, merge=True)
    return subspace.split(model, sources.settings.kept_share) if sources.settings.epochs else model


def compose(run: Run) -> Recipe:
    """Put the matrices together again at the end."""
    from learners.parts import subspace

    return Recipe(finish=subspace.joined)
