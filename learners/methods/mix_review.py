"""Mix-Review: every epoch passes over the new rows and a fresh sample of the past, which shrinks epoch by epoch.

He et al. 2021 (arXiv:1910.07117): epoch e, from 0, passes over the new rows and floor(new rows * ratio * decay^e) of
the past, in the same batches and with the same loss; a ratio of 4 and a decay of 0.7 as Jang et al. 2022
(arXiv:2110.03215) have them, which is 3.5 times the tokens over four epochs. The past is the replay memory, since the
corpus that the base model was made from is not at hand; of a small one every row comes many times and is learned by
heart.
"""

from __future__ import annotations

from functools import partial

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.mix import reviewed

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Mix-Review.

    Attributes:
        review_ratio: remembered rows in the first epoch, for each new row; 0 is plain fine-tuning.
        review_decay: factor of that ratio from one epoch to the next.
    """

    review_ratio: float = Field(default=4.0, ge=0)
    review_decay: float = Field(default=0.7, ge=0, le=1)


def compose(run: Run) -> Recipe:
    """Learn old and new rows in the same batches, with the same loss."""
    settings: Settings = run.settings
    plan = partial(reviewed, ratio=settings.review_ratio, decay=settings.review_decay)
    return Recipe(plan=plan, joined=True)
