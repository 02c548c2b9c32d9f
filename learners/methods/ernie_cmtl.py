"""Continual multi-task pre-training: earlier tasks keep their own batches between those of the newest one.

Sun et al. 2020, ERNIE 2.0 (arXiv:1907.12412), section 3.1: when task s arrives, every task k <= s is trained on for
n[k, s] more steps, one task per step, with that task's own loss. A task here is what one earlier version learned with
this method, and the seed answers of the base model; which record belongs to which task is kept in `memory/tasks.json`.
Where the paper gives each task a head and an embedding, all tasks here are texts under the one language-model loss.
"""

from __future__ import annotations

from functools import partial

from pydantic import Field, field_validator

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts import tasks
from learners.parts.mix import by_task

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Continual multi-task pre-training.

    Attributes:
        earlier_share: of all steps that go to earlier tasks, each with equal probability; 0 is plain fine-tuning.
        stage_matrix: n[k, s] of the paper, a row for each stage s = 1, 2, ...: the steps of tasks 0 .. s in any unit.
            Task 0 is what was remembered before the first stage, task s is the new one, whose steps are its epochs;
            those of the others follow from them. Stages without a row take `earlier_share`.
    """

    earlier_share: float = Field(default=0.25, ge=0, lt=1)
    stage_matrix: tuple[tuple[float, ...], ...] = ()

    @field_validator("stage_matrix")
    @classmethod
    def _has_a_row_for_each_stage(cls, matrix: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        for stage, row in enumerate(matrix, start=1):
            if len(row) != stage + 1 or min(row) < 0 or row[-1] == 0:
                raise ValueError(
                    f"row {stage} of stage_matrix is {row!r}; stage {stage} needs {stage + 1} numbers, of tasks 0 to "
                    f"{stage}, none negative and the last one above 0"
                )
        return matrix


def compose(run: Run) -> Recipe:
    """Draw whole batches of earlier tasks; afterwards write down what this task is."""
    settings: Settings = run.settings
    earlier = {
        number: [row for _, rows in items for row in rows] for number, items in tasks.remembered_by_task(run).items()
    }
    stage = 1 + max(tasks.read(run.memory_folder).values(), default=0)
    weights, share = None, settings.earlier_share
    if stage <= len(settings.stage_matrix):
        row = settings.stage_matrix[stage - 1]
        weights = [row[number] for number in earlier]
        share = sum(weights) / (sum(weights) + row[-1])
    return Recipe(
        plan=partial(by_task, tasks=list(earlier.values()), share=share, weights=weights),
        joined=True,
        after_training=(partial(tasks.write, run),),
    )
