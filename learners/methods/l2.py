"""L2-SP: every weight is held near the parent's, all alike.

Loss: L + (lambda / 2) * sum_i (theta_i - theta*_i)^2, the "-SP" penalty of Li, Grandvalet and Davoine 2018
(arXiv:1802.01483), which is EWC with an importance of one. theta* is the parent; of an adapter the factors A and B are
anchored, each by itself, and not their product.
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.penalties import AnchoredQuadratic, equal_importance, trainable_copy

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """L2-SP.

    Attributes:
        penalty_weight: lambda; 0 is plain fine-tuning.
    """

    penalty_weight: float = Field(default=1.0, ge=0)


def compose(run: Run) -> Recipe:
    """Penalise drift from the parent."""
    settings: Settings = run.settings
    if not settings.penalty_weight:
        return Recipe()
    anchor = trainable_copy(run.model)
    return Recipe(losses=(AnchoredQuadratic(equal_importance(anchor), anchor, settings.penalty_weight),))
