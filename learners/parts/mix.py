"""Who is in each batch: the order of the new rows and the share of rehearsal beside them.

Owns the batch plan of a training run, a pure function of lengths, settings and seed: the same plan is built again after
a crash, and the trainer skips what was done. The new rows are planned before, and without knowledge of, the rehearsed
ones, so a share of 0 is plain fine-tuning step for step.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Batch", "Replay", "plan_batches"]

_WINDOW_BATCHES = 16  # rows are sorted by length inside windows of so many batches: little padding, still shuffled


@dataclass(frozen=True)
class Batch:
    """Indices of one step's rows: into the new rows and into the rehearsed ones."""

    new: tuple[int, ...]
    replayed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Replay:
    """How much is rehearsed.

    Attributes:
        rows: number of rows that can be rehearsed.
        share: part of each batch's rows that is rehearsed, in [0, 1); it comes on top of the new rows, so the number
            of steps does not depend on it.
    """

    rows: int = 0
    share: float = 0.0


def plan_batches(
    lengths: Sequence[int], batch_size: int, epochs: int, seed: int, replay: Replay | None = None
) -> list[Batch]:
    """Plan every batch of a run.

    Args:
        lengths: tokens of each new row; rows of similar length share a batch.
        batch_size: new rows in a batch; the last batch of an epoch may be smaller.
        epochs: passes over the new rows.
        seed: of both shuffles.
        replay: what is rehearsed beside them; None for nothing.
    """
    order = random.Random(f"{seed}:new")  # noqa: S311 - sampling, not secrecy
    planned = [batch for _ in range(epochs) for batch in _epoch(lengths, batch_size, order)]
    if replay is None or replay.rows == 0 or replay.share <= 0:
        return [Batch(new) for new in planned]
    draws = _endless(replay.rows, random.Random(f"{seed}:replay"))  # noqa: S311 - sampling, not secrecy
    batches: list[Batch] = []
    owed = 0.0
    for new in planned:
        owed += len(new) * replay.share / (1.0 - replay.share)
        count = min(int(owed + 0.5), replay.rows)
        owed -= count
        batches.append(Batch(new, tuple(next(draws) for _ in range(count))))
    return batches


def _epoch(lengths: Sequence[int], batch_size: int, order: random.Random) -> list[tuple[int, ...]]:
    indices = list(range(len(lengths)))
    order.shuffle(indices)
    window = batch_size * _WINDOW_BATCHES
    grouped: list[int] = []
    for start in range(0, len(indices), window):
        grouped += sorted(indices[start : start + window], key=lambda index: lengths[index])
    batches = [tuple(grouped[start : start + batch_size]) for start in range(0, len(grouped), batch_size)]
    order.shuffle(batches)
    return batches


def _endless(rows: int, order: random.Random) -> Iterator[int]:
    """Every row once before any row twice."""
    while True:
        indices = list(range(rows))
        order.shuffle(indices)
        yield from indices
