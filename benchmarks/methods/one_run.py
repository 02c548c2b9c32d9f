"""One method over one order of tasks, in a process of its own: `python -m benchmarks.methods.one_run FOLDER`.

Owns the protocol: learn a task, measure all tasks, learn the next from the version that came of it, with the method
memory that it left. The process is its own so that a method's peak memory is its own. What is done is kept below
FOLDER; the same call goes on after a kill. Called by `benchmarks.methods.running`.
"""

from __future__ import annotations

import fcntl
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lab import Lab, Learned, device_name
from benchmarks.methods.alignment import alignment
from benchmarks.methods.lacking import left_out
from benchmarks.methods.pair_readings import pair_readings
from benchmarks.methods.setup import MULTI_TASK, PLAIN, ZERO_SHOT, Alignment, Run, RunResult
from benchmarks.methods.streams import in_force, stream_tasks
from benchmarks.methods.tasks import Task, given
from learners.durable import write_atomic
from learners.failures import InvalidInput
from learners.methods import load_method
from learners.versions import read_version
from monitors.probes.scorers.choice import Choice

__all__ = ["RESULT", "main", "run"]

RESULT = "result.json"

Row = tuple[float | None, ...]


@dataclass(frozen=True)
class _Step:
    """One training: the version that it makes of which, how, and on which tasks."""

    version: str
    parent: str
    method: str
    tasks: Sequence[Task]


def run(asked: Run, folder: Path) -> RunResult:
    """Run a method, or one of the two references.

    Raises:
        learners.failures.InvalidInput: the method cannot learn this stream.
        learners.failures.Diverged: its training broke.
    """
    if why := left_out(asked.setup).get(asked.method):
        raise InvalidInput(f"{asked.method!r} is left out: {why}")
    started = time.monotonic()
    tasks = stream_tasks(asked.setup, asked.order)
    lab = Lab.over(asked.base, folder)
    base = read_version(asked.base, verify=False).spec.id
    steps = _steps(asked, base, tasks)
    measured: dict[str | None, Row] = {base: _zero_shot(asked, lab, base, tasks)}
    learned: list[Learned] = []
    for step in steps:
        learned.append(_learn(asked, lab, step))
        measured[step.version] = _row(lab, step.version, tasks)
    ends = [step.version for step in steps] or [base]
    versions = [base, *[None] * (len(tasks) - len(ends)), *ends]
    result = RunResult(
        method=asked.method, order=asked.order, tasks=tuple(task.name for task in tasks),
        scores=tuple(measured.get(version, (None,) * len(tasks)) for version in versions), learned=tuple(learned),
        seconds=time.monotonic() - started, device=device_name(), processes=asked.processes,
        alignment=_alignment(asked, lab, tasks, versions) if asked.setup.stage == "ca" else None,
    )  # fmt: skip
    write_atomic(folder / RESULT, result.model_dump_json(indent=2))
    lab.clear()
    return result


def _steps(asked: Run, base: str, tasks: Sequence[Task]) -> list[_Step]:
    if asked.method == ZERO_SHOT:
        return []
    if asked.method == MULTI_TASK:
        return [_Step("all", base, PLAIN[asked.setup.stage], in_force(tasks))]
    versions = [base, *(f"t{number}" for number in range(1, len(tasks) + 1))]
    return [
        _Step(version, parent, asked.method, [task])
        for parent, version, task in zip(versions, versions[1:], tasks, strict=False)
    ]


def _alignment(asked: Run, lab: Lab, tasks: Sequence[Task], versions: Sequence[str | None]) -> Alignment:
    bare = lab.folder.parent / f"{ZERO_SHOT}-order1" / RESULT
    return alignment(lab, tasks, versions, asked.setup.test_items, bare)


def _zero_shot(asked: Run, lab: Lab, base: str, tasks: Sequence[Task]) -> Row:
    if asked.zero_shot is None:
        return _row(lab, base, tasks)
    return tuple(asked.zero_shot[task.name] for task in tasks)


def _row(lab: Lab, version: str, tasks: Sequence[Task]) -> Row:
    if all(isinstance(probe, Choice) and task.held_out for task in tasks for probe in task.suite.items):
        readings = pair_readings(lab, version, tasks)
        return tuple(readings[task.name].by_token for task in tasks)
    found = lab.scores(version, [task.suite for task in tasks])
    return tuple(found[task.name] for task in tasks)


def _learn(asked: Run, lab: Lab, step: _Step) -> Learned:
    records = [record for task in step.tasks for record in given(task, step.method)]
    setup = asked.setup
    settings = {**setup.settings_of(step.method), **_rewards(step)}
    return lab.learn(step.version, step.parent, setup.stage, step.method, records, settings, setup.seed)


def _rewards(step: _Step) -> dict[str, Any]:
    """The rules of what is learned, for a method that is paid by rules."""
    if "rewards" not in load_method(step.method).Settings.model_fields:
        return {}
    return {"rewards": [dict(rule) for task in step.tasks for rule in task.rewards]}


def main(folder: Path) -> None:
    """Run what `run.json` in `folder` asks for; where another process does so already, wait for its result."""
    logging.getLogger("absl").setLevel(logging.WARNING)
    with (folder / "run.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / RESULT).exists():
            run(Run.model_validate_json((folder / "run.json").read_bytes()), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
