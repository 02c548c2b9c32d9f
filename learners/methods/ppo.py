"""Policy optimisation on the model's own answers: what rules can verify and reward becomes likelier.

Loss: mean over answer tokens of -min(r * A, clip(r, 1 - epsilon, 1 + epsilon) * A), equation 7 of Schulman et al. 2017,
Proximal Policy Optimization Algorithms (arXiv:1707.06347), + beta * divergence from the parent version (nats a token).
r is the ratio to the policy that gave the answer. A compares each answer's reward with the mean of its group, answers
to the same prompt, in standard deviations of the batch: Shao et al. 2024, DeepSeekMath (arXiv:2402.03300), equation 3.
With `advantage` = `critic` it is that of each token over a value head, as in the first paper, see
`learners.parts.critic`. In both the divergence is a term of the loss, where the first paper takes it off the reward.
The prompts are those of the selection's preferences, feedback and conversations.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.critic import Critic
from learners.parts.mix import Batch, Order, plan_batches
from learners.parts.rewards import ContainsAnswer, Reward, total

if TYPE_CHECKING:
    import torch

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Policy optimisation.

    Attributes:
        batch_size: prompts in a step.
        rewards: rules that are summed up by their weights, see `learners.parts.rewards`, e.g.
            `[{"kind": "length", "most_words": 40}, {"kind": "finished", "weight": 0.5}]`.
        beta: strength of the pull towards the parent, in reward per nat.
        epsilon: how far the probability of a token may move away from what it was when the answer was given.
        advantage: how an answer's worth is told: `group` compares it with the others to its prompt, `critic` tells for
            each token how far it changed what a learned value head expects.
        gae_lambda: of the critic: how far a surprise is credited to the tokens before it; 1 credits all of them alike.
        answers: given to each prompt; what they are worth is compared among them.
        answer_tokens: room of an answer.
        temperature: of sampling.
        updates: steps that learn from the same answers before new ones are given.
    """

    batch_size: int = Field(default=4, ge=1)
    rewards: tuple[Reward, ...] = Field(default=(ContainsAnswer(),), min_length=1)
    beta: float = Field(default=0.05, ge=0)
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    advantage: Literal["group", "critic"] = "group"
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    answers: int = Field(default=8, ge=2)
    answer_tokens: int = Field(default=64, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    updates: int = Field(default=2, ge=1)


def prepare(sources: Sources) -> Material:
    """The prompts of the selection."""
    return sources.material(form="prompts")


def compose(run: Run) -> Recipe:
    """Policy gradient by trl on the sum of the rules."""
    settings: Settings = run.settings
    state: dict[str, torch.Tensor] = {}
    return Recipe(
        plan=partial(_repeated, updates=settings.updates),
        reward=total(settings.rewards),
        credit=Critic(state, gae_lambda=settings.gae_lambda) if settings.advantage == "critic" else None,
        state=state,
        trainer={
            "beta": settings.beta,
            "epsilon": settings.epsilon,
            "num_generations": settings.answers,
            "num_iterations": settings.updates,
            "max_completion_length": settings.answer_tokens,
            "temperature": settings.temperature,
            "loss_type": "bnpo",  # the mean over all answer tokens of the batch
            "scale_rewards": "batch",
        },
    )


def _repeated(order: Order, updates: int) -> list[Batch]:
    """Every planned batch of prompts `updates` times in a row."""
    planned = plan_batches(order.lengths, order.batch_size, order.epochs, order.seed)
    return [batch for batch in planned for _ in range(updates)]
