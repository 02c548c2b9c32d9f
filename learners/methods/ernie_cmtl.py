"""Continual multi-task pre-training: earlier tasks keep their own batches between those of the newest one.

Sun et al. 2020, ERNIE 2.0 (arXiv:1907.12412), section 3.1: when task s arrives, every task k <= s is trained on for
n[k, s] more steps, one task per step. A task here is what one earlier version learned with this method, and the seed
answers of the base model; which record belongs to which task is kept in `memory/tasks.json`.
"""

from __future__ import annotations

from functools import partial

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts import tasks
from learners.parts.mix import by_task

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Continual multi-task pre-training.

    Attributes:
        earlier_share: of all steps that go to earlier tasks, each with equal probability; 0 is plain fine-tuning.
    """

    earlier_share: float = Field(default=0.25, ge=0, lt=1)


def compose(run: Run) -> Recipe:
    """Draw whole batches of earlier tasks; afterwards write down what this task is."""
    settings: Settings = run.settings
    earlier = [[row for _, rows in items for row in rows] for items in tasks.remembered_by_task(run).values()]
    return Recipe(
        plan=partial(by_task, tasks=earlier, share=settings.earlier_share),
        joined=True,
        after_training=(partial(tasks.write, run),),
    )
