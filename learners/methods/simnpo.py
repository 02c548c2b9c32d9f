"""SimNPO: negative preference optimisation without a reference, of rows of any length alike.

Loss: -strength * (2 / beta) * log sigmoid(beta * (nats a token - margin)), the mean over forgotten rows, +
replay_weight * likelihood of what is kept: Fan et al. 2024, Simplicity Prevails (arXiv:2410.07163), in nats, with the
defaults of open-unlearning. The ceilings of `learners.parts.unlearning` end it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import forgetting
from learners.methods.contract import Recipe, Run
from learners.methods.forgetting import prepare
from learners.parts.unlearning import Ceilings, capped

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Settings", "SimplePreference", "compose", "prepare"]


class Settings(forgetting.Settings):
    """SimNPO.

    Attributes:
        strength: gamma, the weight of the loss that forgets.
        beta: how soon the gradient fades with the nats a token.
        margin_nats: delta, from which they count.
    """

    strength: float = Field(default=0.125, ge=0)
    beta: float = Field(default=4.5, gt=0)
    margin_nats: float = Field(default=0.0, ge=0)


def compose(run: Run) -> Recipe:
    """The loss needs nothing of the parent."""
    settings: Settings = run.settings
    loss = SimplePreference(
        forgetting.ceilings(run), beta=settings.beta, margin_nats=settings.margin_nats, strength=settings.strength
    )
    return forgetting.recipe(run, loss)


class SimplePreference:
    """-strength * (2 / beta) * log sigmoid(beta * (nats a token - margin)), the mean over rows.

    Args:
        ceilings: of the forgotten tokens.
        beta, margin_nats, strength: see `Settings`.
    """

    def __init__(self, ceilings: Ceilings, *, beta: float, margin_nats: float, strength: float) -> None:
        self._ceilings, self._beta, self._margin, self._strength = ceilings, beta, margin_nats, strength

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of one step's forgotten rows."""
        from torch.nn.functional import logsigmoid

        found = capped(model, step.new, self._ceilings)
        above = self._beta * (found.nats / found.tokens - self._margin)
        return -self._strength * 2 / self._beta * logsigmoid(above).mean()
