"""Experience replay: part of every batch is rehearsed from the replay memory.

Sources: Chaudhry et al. 2019 (arXiv:1902.10486); for the base model's own answers, which the memory starts with, Huang
et al. 2024, "Mitigating Catastrophic Forgetting in Large Language Models with Self-Synthesized Rehearsal".
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.mix import within
from learners.parts.penalties import RehearsalLikelihood

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Experience replay.

    Attributes:
        replay_share: part of each batch's rows that is rehearsed; 0 is plain fine-tuning, 0.5 half and half.
        replay_weight: weight of the mean negative log-likelihood of the rehearsed tokens beside the new rows.
        placement: `beside` rehearses on top of the new rows, in a term of its own; `within` is compute-equivalent:
            rehearsed rows take new rows' places in batches of the usual size, and `replay_weight` has no part in it.
    """

    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=0.5, gt=0)
    placement: Literal["beside", "within"] = "beside"


def compose(run: Run) -> Recipe:
    """Rehearse remembered rows beside the new ones of each batch, or among them."""
    settings: Settings = run.settings
    if settings.placement == "within":
        return Recipe(plan=partial(within, share=settings.replay_share), joined=True)
    return Recipe(replay_share=settings.replay_share, losses=(RehearsalLikelihood(settings.replay_weight),))
