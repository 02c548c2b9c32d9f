"""Re-warm, re-decay and replay: the learning rate starts over for the new data, and a share of each batch is old.

Ibrahim et al. 2024, Simple and Scalable Strategies to Continually Pre-train Large Language Models (arXiv:2403.08763).
The rate rises linearly from 0 to eta_max over the warm-up and falls to eta_min at the last step by equation 1, eta_min
+ (eta_max - eta_min) / 2 * (1 + cos(pi u)) with u in [0, 1] after it; `learning_rate` is eta_max. Replay is
compute-equivalent: the run takes as many steps as plain fine-tuning, and rehearsed rows stand in new rows' places.
Optimizer states start empty, as in the paper. Weak shifts do with a share of 0.05, strong ones (a new language) need
0.25. The paper rehearses the earlier corpus in its order; here the replay memory, a sample, is shuffled.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.mix import within
from learners.parts.schedule import rewarm_redecay, warm_hold_decay

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Re-warm, re-decay and replay.

    Attributes:
        replay_share: of each batch's rows; 0 with the schedule `hold` is plain fine-tuning.
        schedule: `rewarm` as in the paper; `hold` keeps the project's own course of the learning rate.
        warm_share: of the run that warms up.
        floor: last learning rate, as a factor of the peak.
    """

    replay_share: float = Field(default=0.25, ge=0, lt=1)
    schedule: Literal["rewarm", "hold"] = "rewarm"
    warm_share: float = Field(default=0.01, ge=0, le=1)
    floor: float = Field(default=0.1, ge=0, le=1)


def compose(run: Run) -> Recipe:
    """A schedule and a mix; nothing is added to the loss."""
    settings: Settings = run.settings
    rewarm = partial(rewarm_redecay, warm_share=settings.warm_share, floor=settings.floor)
    return Recipe(
        plan=partial(within, share=settings.replay_share),
        joined=True,
        schedule=rewarm if settings.schedule == "rewarm" else warm_hold_decay,
    )
