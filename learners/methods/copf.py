"""COPF: each preference moves by a set amount, and remembered ones stay where the parent has them, by a fixed weight.

Loss: misfit of the new pairs to the optimal policy over the parent + keep_weight * mean over both answers of remembered
pairs of (log pi(y|x) - log pi_parent(y|x))^2, in nats: Zhang et al. 2023, COPF: Continual Learning Human Preference
through Optimal Policy Fitting (arXiv:2310.15694v1). + replay_weight * likelihood of what else is remembered. The
relative of COPR with one fixed multiplier, whose anchor are the parent's values and not the optimum of each task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import optimum, pairs

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Anchored", "Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """COPF.

    Attributes:
        beta: strength of the pull towards the parent; the margin of a pair grows by 2 r / beta nats, with r 1/3 on
            average.
        pair_share: part of a batch's pairs that are remembered ones.
        keep_weight: lambda, the weight of the distance from the parent on remembered pairs.
        replay_share: part of each batch that is rehearsed of what is remembered beside preferences.
        replay_weight: weight of the mean negative log-likelihood of its tokens.
    """

    beta: float = Field(default=0.1, gt=0)
    pair_share: float = Field(default=0.5, ge=0, lt=1)
    keep_weight: float = Field(default=1.0, ge=0)
    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=1.0, ge=0)


def prepare(sources: Sources) -> Material:
    """Pairs with their targets; the references of remembered ones are the parent's."""
    return optimum.targeted(sources, {})


def compose(run: Run) -> Recipe:
    """The anchored fit."""
    state: dict[str, torch.Tensor] = {}
    return pairs.recipe(run, Anchored(state, run.settings.keep_weight), state)


class Anchored:
    """Misfit of the new pairs, and the squared distance from the references on the remembered ones.

    Args:
        state: gets the mean margin over the references.
        weight: of that distance.
    """

    def __init__(self, state: dict[str, torch.Tensor], weight: float) -> None:
        self._state, self._weight = state, weight

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of a batch of `learners.parts.optimum.TargetPair`."""
        chosen, rejected = pairs.answer_nats(model, step.new)
        pairs.shifts_nats(self._state, step.new, chosen, rejected)
        new = step.new["task"] == optimum.NEW
        loss = optimum.misfit(chosen - rejected, step.new["target_nats"])[new].mean()
        if bool(new.all()):
            return loss
        drift = (chosen - step.new["ref_chosen_logps"]).square() + (rejected - step.new["ref_rejected_logps"]).square()
        return loss + self._weight * drift[~new].mean() / 2
