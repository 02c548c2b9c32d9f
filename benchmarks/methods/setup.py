"""What one comparison of methods is: the record that every run of it shares, and the record of each run.

Owns the digest that names the results' folder: results under different setups never meet. Knows no method.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.lab import EMBEDDED, Learned
from learners.job import Stage

__all__ = ["MULTI_TASK", "PLAIN", "REFERENCES", "ZERO_SHOT", "Alignment", "PairReading", "Run", "RunResult", "Setup"]

ZERO_SHOT = "zero_shot"
MULTI_TASK = "multi_task"
REFERENCES = (ZERO_SHOT, MULTI_TASK)
"""Not methods: the base model as it is, and plain training on all tasks at once, which no sequence can beat much."""

PLAIN: dict[Stage, str] = {"cpt": "finetune", "cit": "finetune", "ca": "dpo"}
"""Plain sequential training of each stage: what every method is compared with."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Setup(_Frozen):
    """What is held equal over all methods and orders.

    Attributes:
        stream: a key of `benchmarks.methods.streams.STREAMS`.
        tasks: only the first so many tasks of the stream; None for all.
        items: most training items of a task; fewer where the data set has fewer.
        test_items: most test items of a task.
        settings: of every method, over its own defaults.
        seed: of the choice of items and of every training.
    """

    stage: Stage
    stream: str
    tasks: int | None = Field(default=None, ge=1)
    items: int = Field(default=400, ge=1)
    test_items: int = Field(default=100, ge=1)
    model: str = EMBEDDED
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0

    @property
    def name(self) -> str:
        """Folder name of its results: readable, and different for every other setup."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]
        return f"{self.stage}-{self.stream}-{digest}"


class Run(_Frozen):
    """`run.json`: one method over one order.

    Attributes:
        order: number of the order, from 1.
        base: the version folder that the first task is learned from.
        zero_shot: score of the base on each task, where it is known already.
        processes: how many runs share the machine.
    """

    setup: Setup
    method: str
    order: int
    base: Path
    zero_shot: dict[str, float] | None = None
    processes: int = Field(default=1, ge=1)


class RunResult(_Frozen):
    """`result.json`: what came of a run.

    Attributes:
        tasks: in the order they were learned, T of them.
        scores: T + 1 rows of T columns, R[t, i] as in `monitors.metrics`; None where nothing was measured.
        learned: each training, first to last.
        device: what computed: a GPU's name, else `cpu`.
        processes: how many runs shared it, which slows each one down.
    """

    method: str
    order: int
    tasks: tuple[str, ...]
    scores: tuple[tuple[float | None, ...], ...]
    learned: tuple[Learned, ...] = ()
    seconds: float
    alignment: Alignment | None = None
    device: str = "cpu"
    processes: int = 1
