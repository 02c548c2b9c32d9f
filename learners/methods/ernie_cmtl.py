"""Continual multi-task pre-training: earlier tasks keep their own batches between those of the newest one.

Sun et al. 2020, ERNIE 2.0 (arXiv:1907.12412), section 3.1: when task s arrives, every task k <= s is trained on for
n[k, s] more steps, one task per step. A task here is what one earlier version learned with this method, and the seed
answers of the base model; which record belongs to which task is kept in `memory/tasks.json`.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.mix import by_task
from learners.parts.views import rehearsal_rows

__all__ = ["Settings", "compose"]

_FILE = "tasks.json"


class Settings(contract.Settings):
    """Continual multi-task pre-training.

    Attributes:
        earlier_share: of all steps that go to earlier tasks, each with equal probability; 0 is plain fine-tuning.
    """

    earlier_share: float = Field(default=0.25, ge=0, lt=1)


def compose(run: Run) -> Recipe:
    """Draw whole batches of earlier tasks; afterwards write down what this task is."""
    settings: Settings = run.settings
    known = _read(run.memory_folder)

    def write() -> None:
        number = 1 + max(known.values(), default=0)
        tasks = {**known, **{record.id: number for record in run.records if record.id not in known}}
        run.memory_folder.mkdir(parents=True, exist_ok=True)
        (run.memory_folder / _FILE).write_text(json.dumps(tasks, sort_keys=True) + "\n", encoding="utf-8")

    return Recipe(
        plan=partial(by_task, tasks=_rows_by_task(run, known), share=settings.earlier_share),
        joined=True,
        after_training=(write,),
    )


def _rows_by_task(run: Run, known: dict[str, int]) -> list[list[int]]:
    """For each earlier task, the indices of its rows in `run.remembered`; task 0 is whatever no version wrote down."""
    tasks: dict[int, list[int]] = {}
    start = 0
    for item in run.memory.items:
        limit = run.settings.max_length_tokens
        count = len(rehearsal_rows(item.record, run.tokenizer, limit, complete=item.complete))
        tasks.setdefault(known.get(item.record.id, 0), []).extend(range(start, start + count))
        start += count
    return [tasks[number] for number in sorted(tasks)]


def _read(folder: Path) -> dict[str, int]:
    path = folder / _FILE
    return json.loads(path.read_bytes()) if path.exists() else {}
