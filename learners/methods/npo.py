"""Negative preference optimisation: what is forgotten is a rejected answer without a chosen one.

Loss: strength * (2 / beta) * softplus(beta * log-ratio of a forgotten row against the parent), the mean over rows, with
log-probabilities summed over tokens: equation 3 of Zhang et al. 2024, Negative Preference Optimization
(arXiv:2404.05868), in nats; + replay_weight * likelihood of what is kept (the paper's NPO+RT). The gradient fades with
the ratio, so it strays from the parent exponentially more slowly than ascent does; the ceilings of
`learners.parts.unlearning` end it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import forgetting
from learners.methods.contract import Recipe, Run
from learners.methods.forgetting import prepare
from learners.parts.unlearning import Ceilings, Key, capped, keys_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["NegativePreference", "Settings", "compose", "prepare"]


class Settings(forgetting.Settings):
    """Negative preference optimisation.

    Attributes:
        beta: how soon the gradient fades with the distance from the parent.
    """

    beta: float = Field(default=0.1, gt=0)


def compose(run: Run) -> Recipe:
    """The loss against the parent's log-probabilities, which are computed here, while the weights still are its."""
    settings: Settings = run.settings
    reference = forgetting.reference_nats(run)
    loss = NegativePreference(forgetting.ceilings(run), reference, beta=settings.beta, strength=settings.strength)
    return forgetting.recipe(run, loss)


class NegativePreference:
    """strength * (2 / beta) * softplus(beta * (reference nats - nats)), the mean over rows.

    Args:
        ceilings: of the forgotten tokens.
        reference: negative log-likelihood of each row under the parent, in nats.
        beta, strength: see `Settings`.
    """

    def __init__(self, ceilings: Ceilings, reference: Mapping[Key, float], *, beta: float, strength: float) -> None:
        self._ceilings, self._reference, self._beta, self._strength = ceilings, reference, beta, strength

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of one step's forgotten rows."""
        from torch.nn.functional import softplus

        nats = capped(model, step.new, self._ceilings).nats
        before = nats.new_tensor([self._reference[key] for key in keys_of(step.new)])
        return self._strength * 2 / self._beta * softplus(self._beta * (before - nats)).mean()
