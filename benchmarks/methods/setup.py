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
"""Plain sequential training of each stage that learns: what every method is compared with."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Setup(_Frozen):
    """What is held equal over all methods and orders.

    Attributes:
        stream: a key of `benchmarks.methods.streams.STREAMS`.
        tasks: only the first so many tasks of the stream; None for all.
        items: most training items of a task; fewer where the data set has fewer.
        test_items: most test items of a task.
        settings: of every method, over its own defaults; a key `METHOD.KEY` is of that method alone.
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
    def shared(self) -> dict[str, Any]:
        """The settings of every method."""
        return {key: value for key, value in self.settings.items() if "." not in key}

    @property
    def title(self) -> str:
        """It in a few words, for headings: stream, items, and the number format where one was asked for."""
        told = [self.stream, f"{self.items} items", str(self.settings.get("precision", ""))]
        return ", ".join(word for word in told if word)

    def settings_of(self, method: str) -> dict[str, Any]:
        """What a method is told: what all are, and over it what is for it alone."""
        own = {key.partition(".")[2]: value for key, value in self.settings.items() if key.startswith(f"{method}.")}
        return {**self.shared, **own}

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


class PairReading(_Frozen):
    """What a version makes of the held-out pairs of a preference task.

    Attributes:
        by_sum, by_token: share of the pairs whose preferred answer is the likelier one, by log-probability summed over
            its tokens, and by its mean over them.
        margin_nats: how much likelier the preferred answer is, summed over its tokens, in the mean; less another
            version's margin it is the margin over that version as direct preference optimisation defines it.
        entropy_nats: of the predictions of the next token, in the mean over the tokens of each preferred answer.
    """

    by_sum: float
    by_token: float
    margin_nats: float
    entropy_nats: float


class Alignment(_Frozen):
    """What is measured of stage ca beside the scores.

    Attributes:
        pairs: rows and columns as of `RunResult.scores`.
        before, after: mean score of the base model and of the last version on suites that nothing was trained for, by
            the suite's name.
    """

    pairs: tuple[tuple[PairReading | None, ...], ...]
    before: dict[str, float]
    after: dict[str, float]


class RunResult(_Frozen):
    """`result.json`: what came of a run.

    Attributes:
        tasks: in the order they were learned, T of them.
        scores: T + 1 rows of T columns, R[t, i] as in `monitors.metrics`; None where nothing was measured.
        learned: each training, first to last.
        device: what computed: a GPU's name, else `cpu`.
        processes: how many runs shared it, which slows each one down.
        alignment: of stage ca.
    """

    method: str
    order: int
    tasks: tuple[str, ...]
    scores: tuple[tuple[float | None, ...], ...]
    learned: tuple[Learned, ...] = ()
    seconds: float
    device: str = "cpu"
    processes: int = 1
    alignment: Alignment | None = None
