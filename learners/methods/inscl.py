"""InsCL: more is rehearsed of the tasks that are least like the new one, and of each its most telling instructions.

Wang et al. 2024 (arXiv:2403.11435). Tasks are what earlier versions learned with a method that writes them down
(`learners.parts.tasks`). How unlike two tasks are is the Wasserstein distance between the embeddings of their
instructions; an instruction is the first turn of a conversation.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts import allocate, select, tasks
from learners.parts.mix import in_turn
from learners.parts.rows import Row
from learners.parts.views import separator, spoken
from learners.records import Record

if TYPE_CHECKING:
    import torch

    from learners.parts.mix import Batch, Order

__all__ = ["Settings", "compose"]

_LONGEST_TOKENS = 128  # of an instruction that is embedded


class Settings(contract.Settings):
    """InsCL.

    Attributes:
        rows_for_each: remembered rows for each earlier task, on average over them; 0 is plain fine-tuning.
        compared: most instructions of a task that are embedded.
    """

    rows_for_each: int = Field(default=200, ge=0)
    compared: int = Field(default=48, ge=1)


def compose(run: Run) -> Recipe:
    """Draw what is rehearsed once, and learn it together with the new rows."""
    settings: Settings = run.settings
    earlier = tasks.remembered_by_task(run) if settings.rows_for_each else {}
    drawn = _drawn(run, list(earlier.values()))

    def plan(order: Order) -> list[Batch]:
        return in_turn(order, [(range(len(order.lengths)), drawn)])

    return Recipe(plan=plan, joined=True, after_training=(partial(tasks.write, run),))


def _drawn(run: Run, earlier: list[list[tasks.Remembered]]) -> list[int]:
    """Indices of remembered rows; of an instruction with fewer rows than its part all are taken."""
    if not earlier:
        return []
    ours = _embedded(run, list(run.records))
    unlike = [allocate.distance(ours, _embedded(run, [record for record, _ in items])) for items in earlier]
    draw = random.Random(f"{run.seed}:rehearsal")  # noqa: S311 - sampling, not secrecy
    found: list[int] = []
    for items, part in zip(
        earlier, allocate.shared_out(unlike, run.settings.rows_for_each * len(earlier)), strict=True
    ):
        groups: dict[str, list[int]] = {}
        for record, rows in items:
            groups.setdefault(_instruction(record), []).extend(rows)
        counts = allocate.shared_out(allocate.information(list(groups)), part, least=1)
        for rows, count in zip(groups.values(), counts, strict=True):
            found += draw.sample(rows, min(count, len(rows)))
    return found


def _embedded(run: Run, records: list[Record]) -> torch.Tensor:
    instructions = list(dict.fromkeys(_instruction(record) for record in records))
    draw = random.Random(f"{run.seed}:compared")  # noqa: S311 - sampling, not secrecy
    some = draw.sample(instructions, min(run.settings.compared, len(instructions)))
    start = separator(run.tokenizer)
    rows: list[Row] = []
    for text in some:
        ids: list[int] = [start, *run.tokenizer(text)["input_ids"][:_LONGEST_TOKENS]]  # pyright: ignore
        rows.append(Row(input_ids=ids, labels=ids))
    return select.embedded(run.model, rows)


def _instruction(record: Record) -> str:
    turns = spoken(record)
    return turns[0] if turns else str(record.content.get("text", ""))
