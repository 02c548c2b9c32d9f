"""CPPO: rewarded and likely answers count more, and those worth keeping are held to the parent.

Loss: that of `learners.methods.ppo` with each answer's advantage times alpha, + imitate_weight * mean over answers of
beta * mean over tokens of (log pi - log pi_parent)^2, in nats: Zhang et al. 2024, CPPO: Continual Learning for
Reinforcement Learning with Human Feedback (ICLR 2024). alpha and beta follow from how likely and how rewarded an answer
is among those of its step. For a positive weight the clipped objective is linear in the advantage, so weighing the one
is weighing the other. No old data is needed. With `lowest` = `highest` = 1 and `imitate_weight` = 0 it is `ppo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean, pstdev

from pydantic import Field

from learners.methods import ppo
from learners.methods.contract import Material, Recipe, Run, Sources

__all__ = ["Settings", "compose", "prepare", "standardised", "weights"]


class Settings(ppo.Settings):
    """CPPO; what it shares with `ppo` is documented there.

    Attributes:
        beta: strength of the divergence that `ppo` has, too; above 0, for the parent's log-probabilities are needed.
        updates: at least 2, for an answer is weighed by how likely it was when it was given.
        threshold: k, in standard deviations: what is further from the mean is high or low.
        lowest, highest: what alpha and beta are at least and at most.
        imitate_weight: of the squared distance from the parent.
    """

    beta: float = Field(default=0.05, gt=0)
    updates: int = Field(default=2, ge=2)
    threshold: float = Field(default=1.0, ge=0)
    lowest: float = Field(default=0.5, gt=0, le=1)
    highest: float = Field(default=1.5, ge=1)
    imitate_weight: float = Field(default=0.03, ge=0)


def prepare(sources: Sources) -> Material:
    """The prompts of the selection."""
    return ppo.prepare(sources)


def compose(run: Run) -> Recipe:
    """Policy gradient with weighed answers."""
    return replace(ppo.compose(run), weigh=partial(_weigh, run.settings))


def _weigh(settings: Settings, rewards: Sequence[float], likelihoods: Sequence[float]) -> list[tuple[float, float]]:
    """Weight of each answer's advantage and of its distance from the parent."""
    scores = zip(standardised(likelihoods), standardised(rewards), strict=True)
    limits = settings.threshold, settings.lowest, settings.highest
    found = [weights(likely, rewarded, *limits) for likely, rewarded in scores]
    return [(alpha, settings.imitate_weight * beta) for alpha, beta in found]


def standardised(values: Sequence[float]) -> list[float]:
    """Distance from the mean in standard deviations; 0 where all are equal."""
    mean, spread = fmean(values), pstdev(values)
    return [(value - mean) / spread if spread else 0.0 for value in values]


def weights(likely: float, rewarded: float, threshold: float, lowest: float, highest: float) -> tuple[float, float]:
    """alpha (how much is learned) and beta (how much is imitated) of one answer, by the paper's five types.

    As in the authors' code, mode "balance"; the paper's text lowers beta of the high-variance type as well.

    Args:
        likely: mean log-probability of the answer's tokens, standardised.
        rewarded: its reward, standardised.
        threshold: what is high, and negated what is low.
    """
    high, low = rewarded > threshold, rewarded < -threshold
    if likely > threshold and high:  # high performance
        return highest, highest
    if likely > threshold and low:  # overfitting
        return highest, lowest
    if likely < -threshold and high:  # high variance
        return highest, 1.0
    if likely < -threshold and low:  # noisy
        return lowest, lowest
    return 1.0, 1.0
