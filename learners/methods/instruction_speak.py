"""InstructionSpeak: a task is learned from its instruction, its wrong examples first, then the right ones.

Yin et al. 2022, ConTinTin (arXiv:2203.08512). A record may carry its task (`content["task"]`, see
`learners.parts.instructions`); of every task its negative examples are learned as if they were right, because they lie
where outputs lie, and then, so that the last word is right, the positive ones with the records themselves. Beside
these the examples of all earlier tasks are rehearsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import instructions
from learners.parts.instructions import Instruction
from learners.parts.mix import Batch, Order, Replay, in_turn, plan_batches
from learners.parts.penalties import RehearsalLikelihood
from learners.parts.rows import Row
from learners.parts.views import rehearsal_rows

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """InstructionSpeak.

    Attributes:
        negative_epochs: passes over the negative examples before the others; 0 leaves them out.
        history_share: part of each later batch that are examples of earlier tasks, on top of the new rows; 0 with no
            negative examples is plain fine-tuning.
        history_weight: of their loss, in place of a smaller learning rate.
        history_tasks: most earlier tasks, the latest.
    """

    negative_epochs: int = Field(default=1, ge=0)
    history_share: float = Field(default=0.33, ge=0, lt=1)
    history_weight: float = Field(default=0.2, gt=0)
    history_tasks: int = Field(default=256, ge=1)


def prepare(sources: Sources) -> Material:
    """The records' rows, behind them the positive examples of their tasks, and last the negative ones."""
    settings: Settings = sources.settings
    material = sources.material()
    tasks = instructions.distinct(material.records)
    # a task that came without records is a record of its first example
    right = [row for row in _rows(tasks, sources, right=True) if row not in material.rows]
    rows = [*material.rows, *right, *_rows(tasks, sources, right=False)]
    past = [task for task in instructions.read(sources.memory_folder) if task not in tasks]
    return replace(material, rows=rows, remembered=_rows(past[-settings.history_tasks :], sources, right=True))


def _rows(tasks: Sequence[Instruction], sources: Sources | Run, *, right: bool) -> list[Row]:
    limit = sources.settings.max_length_tokens
    records = [record for task in tasks for record in instructions.examples(task, right=right)]
    return [row for record in records for row in rehearsal_rows(record, sources.tokenizer, limit)]


def compose(run: Run) -> Recipe:
    """Two turns, the second with history; the tasks are written down for later versions."""
    settings: Settings = run.settings
    tasks = instructions.distinct(run.records)
    wrong = len(_rows(tasks, run, right=False))
    past = instructions.read(run.memory_folder)

    def plan(order: Order) -> list[Batch]:
        right = len(order.lengths) - wrong
        first = replace(order, epochs=settings.negative_epochs if order.epochs else 0)
        history = Replay(len(order.remembered), settings.history_share)
        return [
            *in_turn(first, [(range(right, len(order.lengths)), [])]),
            *plan_batches(order.lengths[:right], order.batch_size, order.epochs, order.seed, history),
        ]

    known = [task for task in past if task not in tasks]
    kept = partial(instructions.write, run.memory_folder, [*known, *tasks])
    return Recipe(plan=plan, losses=(RehearsalLikelihood(settings.history_weight),), after_training=(kept,))
