"""One method over one order of tasks, in a process of its own: `python -m benchmarks.methods.one_run FOLDER`.

Owns the protocol: learn a task, measure all tasks, learn the next from the version that came of it, with the method
memory that it left. The process is its own so that a method's peak memory is its own. What is done is kept below
FOLDER; the same call goes on after a kill. Called by `benchmarks.methods.running`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.lab import Lab, Learned, device_name
from benchmarks.methods.setup import MULTI_TASK, PLAIN, ZERO_SHOT, Run, RunResult
from benchmarks.methods.streams import stream_tasks
from benchmarks.methods.tasks import Task
from learners.durable import write_atomic
from learners.versions import read_version

__all__ = ["RESULT", "main", "run"]

RESULT = "result.json"

Scores = list[tuple[float | None, ...]]


def run(asked: Run, folder: Path) -> RunResult:
    """Run a method, or one of the two references.

    Raises:
        learners.failures.InvalidInput: the method cannot learn this stream.
        learners.failures.Diverged: its training broke.
    """
    started = time.monotonic()
    tasks = stream_tasks(asked.setup, asked.order)
    lab = Lab.over(asked.base, folder)
    parent = read_version(asked.base, verify=False).spec.id
    scores: Scores = [_zero_shot(asked, lab, parent, tasks)]
    learned: list[Learned] = []
    if asked.method == ZERO_SHOT:
        scores += [(None,) * len(tasks)] * (len(tasks) - 1) + [scores[0]]
    elif asked.method == MULTI_TASK:
        learned.append(_learn(asked, lab, "all", parent, PLAIN[asked.setup.stage], tasks))
        scores += [(None,) * len(tasks)] * (len(tasks) - 1) + [_row(lab, "all", tasks)]
    else:
        for number, task in enumerate(tasks, start=1):
            version = f"t{number}"
            learned.append(_learn(asked, lab, version, parent, asked.method, [task]))
            scores.append(_row(lab, version, tasks))
            parent = version
    result = RunResult(
        method=asked.method, order=asked.order, tasks=tuple(task.name for task in tasks), scores=tuple(scores),
        learned=tuple(learned), seconds=time.monotonic() - started, device=device_name(), processes=asked.processes,
    )  # fmt: skip
    write_atomic(folder / RESULT, result.model_dump_json(indent=2))
    lab.clear()
    return result


def _zero_shot(asked: Run, lab: Lab, base: str, tasks: Sequence[Task]) -> tuple[float | None, ...]:
    if asked.zero_shot is None:
        return _row(lab, base, tasks)
    return tuple(asked.zero_shot[task.name] for task in tasks)


def _row(lab: Lab, version: str, tasks: Sequence[Task]) -> tuple[float | None, ...]:
    found = lab.scores(version, [task.suite for task in tasks])
    return tuple(found[task.name] for task in tasks)


def _learn(asked: Run, lab: Lab, version: str, parent: str, method: str, tasks: Sequence[Task]) -> Learned:
    records = [record for task in tasks for record in task.records]
    return lab.learn(version, parent, asked.setup.stage, method, records, asked.setup.settings, asked.setup.seed)


def main(folder: Path) -> None:
    """Run what `run.json` in `folder` asks for."""
    logging.getLogger("absl").setLevel(logging.WARNING)
    run(Run.model_validate_json((folder / "run.json").read_bytes()), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
