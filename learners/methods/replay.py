"""Experience replay: part of every batch is rehearsed from the replay memory.

Sources: Chaudhry et al. 2019 (arXiv:1902.10486); for the base model's own answers, which the memory starts with, Huang
et al. 2024, "Mitigating Catastrophic Forgetting in Large Language Models with Self-Synthesized Rehearsal".
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.penalties import RehearsalLikelihood

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Experience replay.

    Attributes:
        replay_share: part of each batch's rows that is rehearsed; 0 is plain fine-tuning.
        replay_weight: weight of the mean negative log-likelihood of the rehearsed tokens.
    """

    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=0.5, gt=0)


def compose(run: Run) -> Recipe:
    """Rehearse remembered rows beside the new ones of each batch."""
    settings: Settings = run.settings
    return Recipe(replay_share=settings.replay_share, losses=(RehearsalLikelihood(settings.replay_weight),))
