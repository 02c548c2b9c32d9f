"""Which task a record belongs to: a task is what one version learned.

Owns `memory/tasks.json`, record id -> number of its task, and the remembered rows of each task. Task 0 is whatever no
version wrote down, such as the base model's own answers. Used by methods that treat earlier tasks one by one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from learners.parts import row_numbers
from learners.records import Record

if TYPE_CHECKING:
    from learners.methods.contract import Run

__all__ = ["Remembered", "put", "read", "remembered_by_task", "write"]

_FILE = "tasks.json"

Remembered = tuple[Record, list[int]]
"""A remembered record, and the indices of its rows in `Run.remembered`."""


def read(folder: Path) -> dict[str, int]:
    """Record id -> task, as the parent left it; empty where no version wrote tasks down."""
    path = folder / _FILE
    return json.loads(path.read_bytes()) if path.exists() else {}


def write(run: Run) -> None:
    """Add the run's records to the memory, as the next task; those of an earlier one stay in it."""
    known = read(run.memory_folder)
    number = 1 + max(known.values(), default=0)
    tasks = {**known, **{record.id: number for record in run.records if record.id not in known}}
    put(run.memory_folder, tasks)


def put(folder: Path, tasks: dict[str, int]) -> None:
    """Write tasks into a `memory/` folder that is being built, in place of those it has."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(json.dumps(tasks, sort_keys=True) + "\n", encoding="utf-8")


def remembered_by_task(run: Run) -> dict[int, list[Remembered]]:
    """Number of a task -> what is left of it in the replay memory, tasks in ascending order."""
    known = read(run.memory_folder)
    found: dict[int, list[Remembered]] = {}
    for item, rows in row_numbers.of_memory(run):
        found.setdefault(known.get(item.record.id, 0), []).append((item.record, rows))
    return {number: found[number] for number in sorted(found)}
