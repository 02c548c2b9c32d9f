"""RecAdam: recall and learn; the weights are first pulled to the parent's, and more and more let go.

Chen et al. 2020 (arXiv:2004.12651), algorithm 1; the baseline "RecAdam" of Jang et al. 2022, Towards Continual
Knowledge Learning (arXiv:2110.03215). With delta the step that Adam would take and eta its learning rate, theta +
lambda delta - eta (1 - lambda) gamma (theta - theta*), lambda(t) = 1 / (1 + exp(-k (t - t0))). There k and t0 count
steps; here they are relative to the run, and a pull that would overshoot the parent theta* ends at it
(`learners.parts.updates.Recall`).
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.penalties import trainable_copy
from learners.parts.updates import Recall

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """RecAdam.

    Attributes:
        pull: gamma; times the learning rate, the part of the way back to the parent that a step takes at first.
        midpoint: t0, share of the run after which the new task has half of each step.
        steepness: k, of the change, per whole run.
        strength: 0 is plain fine-tuning, 1 the paper's method.
    """

    pull: float = Field(default=500.0, ge=0)
    midpoint: float = Field(default=0.25, ge=0, le=1)
    steepness: float = Field(default=20.0, gt=0)
    strength: float = Field(default=1.0, ge=0, le=1)


def compose(run: Run) -> Recipe:
    """Change every step after the optimizer made it."""
    settings: Settings = run.settings
    if not settings.strength:
        return Recipe()
    recall = Recall(
        trainable_copy(run.model),
        pull=settings.pull,
        midpoint=settings.midpoint,
        steepness=settings.steepness,
        strength=settings.strength,
    )
    return Recipe(before_step=(recall.remember,), after_step=(recall.apply,))
