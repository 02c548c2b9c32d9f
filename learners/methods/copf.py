"""COPF: each preference moves by a set amount, and remembered ones stay where they are, by a fixed weight.

Loss: misfit of the new pairs to the optimal policy over the parent + keep_weight * mean over both answers of remembered
pairs of (log pi(y|x) - log pi_parent(y|x))^2: Zhang et al. 2023, COPF: Continual Learning Human Preference
through Optimal Policy Fitting (arXiv:2310.15694v1). + replay_weight * likelihood of what else is remembered. The
relative of COPR with one fixed multiplier, which holds to the parent's values and not to the optimum of each task; with
`keep_at` = "optimum" it holds to that one, by its misfit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

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
        learning_rate: below the stage's, for a squared distance has no bound. SmolLM2 (float32) on five tasks of 40
            pairs: at 3e-4 the loss rose from 0.6 to 14 within the fourth task, which stopped it.
        beta: strength of the pull towards the parent; the margin of a pair grows by 2 r / beta nats, with r 1/3 on
            average.
        per_token: margins are of means over the tokens of an answer, instead of sums, whose beta is 0.1.
        pair_share: part of a batch's pairs that are remembered ones.
        keep_weight: lambda, the weight of what keeps the remembered pairs.
        keep_at: where they are kept: at the parent's log-probabilities, or at the optimum of their own time.
        replay_share: part of each batch that is rehearsed of what is remembered beside preferences.
        replay_weight: weight of the mean negative log-likelihood of its tokens.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    beta: float = Field(default=0.8, gt=0)
    per_token: bool = True
    pair_share: float = Field(default=0.5, ge=0, lt=1)
    keep_weight: float = Field(default=1.0, ge=0)
    keep_at: Literal["parent", "optimum"] = "parent"
    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=1.0, ge=0)


def prepare(sources: Sources) -> Material:
    """Pairs with their targets; the references of remembered ones are the parent's, or those they were learned with."""
    return optimum.targeted(sources, optimum.stored(sources) if sources.settings.keep_at == "optimum" else {})


def compose(run: Run) -> Recipe:
    """The anchored fit."""
    state: dict[str, torch.Tensor] = {}
    settings: Settings = run.settings
    loss = Anchored(state, settings.keep_weight, to_optimum=settings.keep_at == "optimum")
    return pairs.recipe(run, loss, state)


class Anchored:
    """Misfit of the new pairs, and what keeps the remembered ones.

    Args:
        state: gets the mean margin over the references.
        weight: of the remembered ones.
        to_optimum: whether these are kept by their misfit, too, instead of by the squared distance from the references.
    """

    def __init__(self, state: dict[str, torch.Tensor], weight: float, *, to_optimum: bool = False) -> None:
        self._state, self._weight, self._to_optimum = state, weight, to_optimum

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of a batch of `learners.parts.optimum.TargetPair`."""
        chosen, rejected = pairs.answer_nats(model, step.new)
        pairs.shifts_nats(self._state, step.new, chosen, rejected)
        chosen, rejected = optimum.scaled(step.new, chosen, rejected)
        new = step.new["task"] == optimum.NEW
        misfits = optimum.misfit(chosen - rejected, step.new["target_nats"])
        loss = misfits[new].mean()
        if bool(new.all()):
            return loss
        if self._to_optimum:
            return loss + self._weight * misfits[~new].mean()
        before = optimum.scaled(step.new, step.new["ref_chosen_logps"], step.new["ref_rejected_logps"])
        drift = (chosen - before[0]).square() + (rejected - before[1]).square()
        return loss + self._weight * drift[~new].mean() / 2
