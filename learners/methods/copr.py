"""COPR: each preference moves by a set amount, and earlier ones are held at theirs by multipliers that adapt.

Loss: (J + sum_i lambda_i C_i) / (1 + sum_i lambda_i), where J is the mean misfit of the new pairs to the optimal policy
over the parent, and C_i that of the remembered pairs of task i to the optimum of their own time, less `allowed`; log
lambda_i grows by lambda_rate * lambda_i * C_i at every step. Zhang et al. 2024, COPR: Continual Human Preference
Learning via Optimal Policy Regularization (arXiv:2402.14228). + replay_weight * likelihood of what else is remembered.

A margin grows by 2 r / beta and then rests, where DPO lets it grow on. It is one of mean log-probabilities unless told
otherwise: of sums, the tiny model fits it as well, but on SmolLM2, whose answers differ in length, training broke off.
So a preference that contradicts an earlier one weakens it and does not reverse it in one update, unless beta is small;
`value_revision` is for that.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import optimum, pairs

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Constrained", "Settings", "compose", "prepare"]

_LEAST, _MOST = 0.05, 20.0  # a multiplier without bounds never comes back, and stops all learning of what is new


class Settings(contract.Settings):
    """COPR.

    Attributes:
        beta: strength of the pull towards the parent; the margin of a pair grows by 2 r / beta nats, with r 1/3 on
            average.
        per_token: margins are of means over the tokens of an answer, instead of sums; of sums, a beta of 0.1 and an
            `allowed` of 0.1 are the paper's.
        pair_share: part of a batch's pairs that are remembered ones.
        allowed: misfit of an earlier task that costs nothing.
        lambda_rate: how fast the multipliers follow; 0 fixes them at 1.
        replay_share: part of each batch that is rehearsed of what is remembered beside preferences.
        replay_weight: weight of the mean negative log-likelihood of its tokens.
    """

    beta: float = Field(default=0.8, gt=0)
    per_token: bool = True
    pair_share: float = Field(default=0.5, ge=0, lt=1)
    allowed: float = Field(default=0.01, ge=0)
    lambda_rate: float = Field(default=0.01, ge=0)
    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=1.0, ge=0)


def prepare(sources: Sources) -> Material:
    """Pairs with their targets; of remembered ones, those that were set when they were learned."""
    return optimum.targeted(sources, optimum.stored(sources))


def compose(run: Run) -> Recipe:
    """The constrained fit."""
    settings: Settings = run.settings
    state: dict[str, torch.Tensor] = {}
    return pairs.recipe(run, Constrained(state, allowed=settings.allowed, rate=settings.lambda_rate), state)


class Constrained:
    """The Lagrangian of the fit under one constraint for each earlier task; a call is a step of both players.

    Args:
        state: holds the multipliers, as `lambda.<task>`, from 1, and the mean margin over the references.
        allowed: d, the misfit that a constraint allows.
        rate: of the ascent of the logarithms of the multipliers.
    """

    def __init__(self, state: dict[str, torch.Tensor], *, allowed: float, rate: float) -> None:
        self._state, self._allowed, self._rate = state, allowed, rate

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of a batch of `learners.parts.optimum.TargetPair`; the multipliers move after it is taken."""
        chosen, rejected = pairs.answer_nats(model, step.new)
        pairs.shifts_nats(self._state, step.new, chosen, rejected)
        chosen, rejected = optimum.scaled(step.new, chosen, rejected)
        misfits, task = optimum.misfit(chosen - rejected, step.new["target_nats"]), step.new["task"]
        total, weight = misfits[task == optimum.NEW].mean(), 1.0
        for number in sorted(set(task.tolist()) - {optimum.NEW}):
            excess = misfits[task == number].mean() - self._allowed
            multiplier = self._multiplier(number, float(excess.detach()))
            total, weight = total + multiplier * excess, weight + multiplier
        return total / weight

    def _multiplier(self, number: int, excess: float) -> float:
        """The multiplier of a task, which then rises where it was missed and falls where it was kept."""
        import torch

        name = f"lambda.{number}"
        now = float(self._state.get(name, 1.0))
        self._state[name] = torch.tensor(min(max(now * exp(self._rate * now * excess), _LEAST), _MOST))
        return now
