"""Policy optimisation on the model's own answers: what rules can verify and reward becomes likelier.

Loss: mean over answer tokens of -min(r * A, clip(r, 1 - epsilon, 1 + epsilon) * A), equation 7 of Schulman et al. 2017,
Proximal Policy Optimization Algorithms (arXiv:1707.06347), + beta * divergence from the parent version (nats a token).
r is the ratio to the policy that gave the answer. In place of a value network, A compares each answer's reward with the
mean of its group, answers to the same prompt, in standard deviations of the batch: Shao et al. 2024, DeepSeekMath
(arXiv:2402.03300), equation 3. The prompts are those of the selection's preferences, feedback and conversations.
"""

from __future__ import annotations

from functools import partial

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.mix import Batch, Order, plan_batches
from learners.parts.rewards import ContainsAnswer, Reward, total

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Policy optimisation.

    Attributes:
        batch_size: prompts in a step.
        rewards: rules that are summed up by their weights, see `learners.parts.rewards`, e.g.
            `[{"kind": "length", "most_words": 40}, {"kind": "finished", "weight": 0.5}]`.
        beta: strength of the pull towards the parent, in reward per nat.
        epsilon: how far the probability of a token may move away from what it was when the answer was given.
        answers: given to each prompt; what they are worth is compared among them.
        answer_tokens: room of an answer.
        temperature: of sampling.
        updates: steps that learn from the same answers before new ones are given.
    """

    batch_size: int = Field(default=4, ge=1)
    rewards: tuple[Reward, ...] = Field(default=(ContainsAnswer(),), min_length=1)
    beta: float = Field(default=0.05, ge=0)
    epsilon: float = Field(default=0.2, gt=0, lt=1)
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
    return Recipe(
        plan=partial(_repeated, updates=settings.updates),
        reward=total(settings.rewards),
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
