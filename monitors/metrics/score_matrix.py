"""The score matrix R that the metrics of continual learning read, indexed as the papers index it.

Owns the shape and the question which cells a metric reads; knows no formula. A cell may be missing, because an update
is not measured on everything that was ever learned: reading it raises, so that no metric averages over what is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Cell", "MissingCells", "ScoreMatrix", "cells_read"]

Cell = tuple[int, int]


class MissingCells(ValueError):
    """A metric reads scores that were never measured; `cells` names them as (update, task)."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        super().__init__(f"not measured: {', '.join(f'R[{update}, {task}]' for update, task in cells)}")
        self.cells = tuple(cells)


class ScoreMatrix:
    """`r[t, i]` is R[t, i] of the papers: the score on task i (1..T) after update t (0..T).

    Update 0 is the model before any training, so `r[0, i]` is their baseline b_i. For a language model that is the
    pretrained model's zero-shot score; the "random initialisation" of older papers says nothing about one. Every score
    is in one unit, higher is better; scale to [0, 1] before averaging over tasks.
    """

    def __init__(self, rows: Sequence[Sequence[float | None]]) -> None:
        """Take a matrix.

        Args:
            rows: updates 0..T, each with the scores on tasks 1..T; None where a score was not measured.

        Raises:
            ValueError: not T + 1 rows of T columns with T >= 1, or a score that is not finite.
        """
        tasks = len(rows) - 1
        if tasks < 1 or any(len(row) != tasks for row in rows):
            shape = f"{len(rows)} rows of {sorted({len(row) for row in rows})} columns"
            raise ValueError(f"a score matrix of T + 1 rows and T columns, T >= 1, is required; found {shape}")
        if bad := [score for row in rows for score in row if score is not None and not math.isfinite(score)]:
            raise ValueError(f"scores must be finite (None where one is missing); found {bad[0]!r}")
        self._rows = tuple(tuple(row) for row in rows)

    @property
    def tasks(self) -> int:
        """T, the number of tasks and of updates."""
        return len(self._rows) - 1

    @property
    def missing(self) -> frozenset[Cell]:
        """The cells (update, task) that were not measured."""
        return frozenset(
            (update, task)
            for update, row in enumerate(self._rows)
            for task, score in enumerate(row, start=1)
            if score is None
        )

    def __getitem__(self, cell: Cell) -> float:
        """R[update, task]; raises `MissingCells` where it was not measured."""
        update, task = cell
        if not (0 <= update <= self.tasks and 1 <= task <= self.tasks):
            raise IndexError(f"R[{update}, {task}] is outside updates 0..{self.tasks} and tasks 1..{self.tasks}")
        score = self._rows[update][task - 1]
        if score is None:
            raise MissingCells([cell])
        return score

    def until(self, update: int) -> ScoreMatrix:
        """The matrix as it stood after `update`, of the tasks learned by then; gives any metric's curve over time."""
        return ScoreMatrix([row[:update] for row in self._rows[: update + 1]])

    def several(self, least: int = 2) -> int:
        """T, where there are tasks enough for a formula to have a term.

        Raises:
            ValueError: fewer than `least` tasks; of a single one, nothing came before or after it.
        """
        if self.tasks < least:
            raise ValueError(f"at least {least} tasks learned one after the other are needed; there are {self.tasks}")
        return self.tasks


class _Recording(ScoreMatrix):
    """Zeros that remember which of them were read."""

    def __init__(self, tasks: int) -> None:
        super().__init__([[0.0] * tasks] * (tasks + 1))
        self.read: set[Cell] = set()

    def __getitem__(self, cell: Cell) -> float:
        self.read.add(cell)
        return super().__getitem__(cell)


def cells_read(metric: Callable[[ScoreMatrix], Any], tasks: int) -> frozenset[Cell]:
    """The cells that a metric reads of a matrix of so many tasks, found by running it.

    Which cells a metric reads may depend on the number of tasks alone, never on scores; a test holds every metric
    to that.
    """
    recording = _Recording(tasks)
    metric(recording)
    return frozenset(recording.read)
