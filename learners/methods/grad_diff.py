"""Gradient difference: ascent on what is forgotten, descent on what is kept.

Loss: -strength * nats a token of the forgotten + replay_weight * that of the kept, or how far they are from the parent;
equation 4 of Liu et al. 2022, Continual Learning and Private Unlearning (arXiv:2203.12817), as compared in Maini et al.
2024, TOFU (arXiv:2401.06121). Ascent has no end of its own, so it ends at the ceilings of `learners.parts.unlearning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from learners.methods import forgetting
from learners.methods.contract import Recipe, Run
from learners.methods.forgetting import prepare
from learners.parts.distill import Distillation, Teacher
from learners.parts.unlearning import Ceilings, capped

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Ascent", "Settings", "compose", "prepare"]


class Settings(forgetting.Settings):
    """Gradient difference.

    Attributes:
        keep: what is kept by its likelihood, or by its divergence KL(parent || model).
    """

    keep: Literal["likelihood", "divergence"] = "likelihood"


def compose(run: Run) -> Recipe:
    """Ascent up to the ceilings; the other term keeps."""
    settings: Settings = run.settings
    loss = Ascent(forgetting.ceilings(run), settings.strength)
    if settings.keep == "likelihood":
        return forgetting.recipe(run, loss)
    near = Distillation(
        Teacher(run.model), distance="logits", source="rehearsal", weight=settings.replay_weight, temperature=1.0
    )
    return forgetting.recipe(run, loss, kept=near)


class Ascent:
    """-strength * the mean negative log-likelihood of the forgotten tokens, each up to its ceiling.

    Args:
        ceilings: of the forgotten tokens.
        strength: gamma.
    """

    def __init__(self, ceilings: Ceilings, strength: float) -> None:
        self._ceilings, self._strength = ceilings, strength

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of one step's forgotten rows."""
        found = capped(model, step.new, self._ceilings)
        return -self._strength * found.nats.sum() / found.tokens.sum()
