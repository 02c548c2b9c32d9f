"""Who is in each batch: the order of the new rows and the share of rehearsal beside them.

Owns the batch plan of a training run, a pure function of lengths, settings and seed: the same plan is built again after
a crash, and the trainer skips what was done. Whatever is mixed in, a share of 0 is plain fine-tuning step for step.

`plan_batches` is the plan of a method that says nothing but `Recipe.replay_share`: rehearsal on top of the new rows,
which `beside` puts there for `learners.parts.source_order`, too.
The others are functions of an `Order` and some shares, for `Recipe.plan` with `Recipe.joined`:

    within      a share inside each batch, at equal compute                 rewarm_replay
    reviewed    the union with a sample of the past that decays by epoch    mix_review, generative_replay
    by_task     whole batches of earlier tasks between those of the new     ernie_cmtl
    weighted    a weight for each source, and a share of the past           domain_mix
    in_turn     one set of rows after the other                             dmt, inscl, tapt
    no_steps    nothing at all: weights are made when training is over      copal, plug_lm
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "Batch", "Order", "Replay", "beside", "by_task", "in_turn", "no_steps", "plan_batches", "reviewed", "weighted",
    "weights_of", "within",
]  # fmt: skip

_WINDOW_BATCHES = 16  # rows are sorted by length inside windows of so many batches: little padding, still shuffled


@dataclass(frozen=True)
class Batch:
    """Indices of one step's rows: into the new rows and into the rehearsed ones."""

    new: tuple[int, ...]
    replayed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Order:
    """What a batch plan is made from.

    Attributes:
        lengths: tokens of each new row.
        remembered: tokens of each row that can be rehearsed.
    """

    lengths: Sequence[int]
    remembered: Sequence[int]
    batch_size: int
    epochs: int
    seed: int


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
    planned = [Batch(new) for _ in range(epochs) for new in _epoch(lengths, batch_size, order)]
    return beside(planned, replay, seed) if replay else planned


def beside(planned: list[Batch], replay: Replay, seed: int) -> list[Batch]:
    """The same batches with what is rehearsed on top of their new rows."""
    if replay.rows == 0 or replay.share <= 0:
        return planned
    draws = _endless(replay.rows, random.Random(f"{seed}:replay"))  # noqa: S311 - sampling, not secrecy
    batches: list[Batch] = []
    owed = 0.0
    for batch in planned:
        owed += len(batch.new) * replay.share / (1.0 - replay.share)
        count = min(int(owed + 0.5), replay.rows)
        owed -= count
        batches.append(Batch(batch.new, tuple(next(draws) for _ in range(count))))
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


def within(order: Order, share: float) -> list[Batch]:
    """As many batches, each as large, as plain fine-tuning has; `share` of the rows in them are rehearsed.

    Compute-equivalent replay (Ibrahim et al. 2024, section 4.2): what is rehearsed is not learned anew, so the last
    rows of the last epoch fall out.
    """
    planned = plan_batches(order.lengths, order.batch_size, order.epochs, order.seed)
    return _replaced(planned, order, share)


def _replaced(planned: list[Batch], order: Order, share: float) -> list[Batch]:
    """The same batches, with a share of their rows rehearsed instead."""
    if share <= 0 or not order.remembered:
        return planned
    new = iter([index for batch in planned for index in batch.new])
    draws = _endless(len(order.remembered), random.Random(f"{order.seed}:replay"))  # noqa: S311 - sampling
    batches: list[Batch] = []
    owed = 0.0
    for batch in planned:
        owed += len(batch.new) * share
        count = min(int(owed + 0.5), len(batch.new), len(order.remembered))
        owed -= count
        fresh = tuple(next(new) for _ in range(len(batch.new) - count))
        batches.append(Batch(fresh, tuple(next(draws) for _ in range(count))))
    return batches


def reviewed(order: Order, ratio: float, decay: float) -> list[Batch]:
    """Each epoch passes over the new rows and a fresh sample of the remembered ones.

    In epoch e (from 0) that sample has floor(new rows * ratio * decay^e) rows: Mix-Review (He et al. 2021,
    arXiv:1910.07117). A sample larger than the memory takes every row as often as it must.
    """
    shuffle = random.Random(f"{order.seed}:new")  # noqa: S311 - sampling, not secrecy
    sample = random.Random(f"{order.seed}:replay")  # noqa: S311 - sampling, not secrecy
    count = len(order.lengths)
    batches: list[Batch] = []
    for epoch in range(order.epochs):
        past = int(count * ratio * decay**epoch) if order.remembered else 0
        draws = _endless(len(order.remembered), sample)
        drawn = [next(draws) for _ in range(past)]
        lengths = [*order.lengths, *(order.remembered[index] for index in drawn)]
        for rows in _epoch(lengths, order.batch_size, shuffle):
            old = tuple(drawn[row - count] for row in rows if row >= count)
            batches.append(Batch(tuple(row for row in rows if row < count), old))
    return batches


def by_task(
    order: Order, tasks: Sequence[Sequence[int]], share: float, weights: Sequence[float] | None = None
) -> list[Batch]:
    """Batches of one task each: all those of the new rows, and between them, on `share` of all steps, earlier tasks.

    Which earlier task comes is drawn by its weight, and its rows in a fresh order each time they are through.

    Args:
        tasks: for each earlier task, its rows among the remembered ones; empty ones are left out.
        share: of the steps that belong to earlier tasks, in [0, 1).
        weights: of the earlier tasks, in any unit; None for equal ones.
    """
    planned = plan_batches(order.lengths, order.batch_size, order.epochs, order.seed)
    equal = [1.0] * len(tasks)
    past = [(rows, weight) for rows, weight in zip(tasks, weights or equal, strict=True) if rows and weight]
    if share <= 0 or not past:
        return planned
    draw = random.Random(f"{order.seed}:tasks")  # noqa: S311 - sampling, not secrecy
    streams = [(rows, _endless(len(rows), draw)) for rows, _ in past]
    batches: list[Batch] = []
    for batch in planned:
        while draw.random() < share:
            rows, stream = draw.choices(streams, [weight for _, weight in past])[0]
            picked = tuple(rows[next(stream)] for _ in range(min(order.batch_size, len(rows))))
            batches.append(Batch((), picked))
        batches.append(batch)
    return batches


def weighted(
    order: Order, groups: Mapping[str, Sequence[int]], weights: Mapping[str, float], share: float
) -> list[Batch]:
    """Epochs of the usual length in which each group has its weight, and `share` of each batch is rehearsed.

    Args:
        groups: rows of each source.
        weights: of sources, see `weights_of`. Empty: every row once per epoch.
    """
    rows = len(order.lengths)
    if not weights:
        return within(order, share)
    wanted = weights_of(groups, weights)
    total = sum(wanted.values())
    draw = random.Random(f"{order.seed}:sources")  # noqa: S311 - sampling, not secrecy
    drawn: list[int] = []
    for name, members in groups.items():
        stream = _endless(len(members), draw)
        drawn += [members[next(stream)] for _ in range(round(rows * order.epochs * wanted[name] / total))]
    planned = plan_batches([order.lengths[index] for index in drawn], order.batch_size, 1, order.seed)
    return _replaced([Batch(tuple(drawn[place] for place in batch.new)) for batch in planned], order, share)


def weights_of(groups: Mapping[str, Sequence[object]], weights: Mapping[str, float]) -> dict[str, float]:
    """The weight of every group: as given, in any unit, or its number of rows times the mean weight of a named row.

    Names of groups that are not there, and those of weight 0, say nothing of what a row weighs.
    """
    heavy = {name: weight for name, weight in weights.items() if weight > 0 and name in groups}
    rows = sum(len(groups[name]) for name in heavy)
    unit = sum(heavy.values()) / rows if rows else 1.0
    return {name: weights.get(name, unit * len(members)) for name, members in groups.items()}


def no_steps(order: Order) -> list[Batch]:
    """No batch: what the version is made of is not learned step by step."""
    return []


def in_turn(order: Order, turns: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[Batch]:
    """All epochs of one set of rows, then all of the next.

    Args:
        turns: of each set, its new rows and its remembered ones; a row may be in several. One set of all new rows and
            no remembered one is plain fine-tuning.
    """
    shuffle = random.Random(f"{order.seed}:new")  # noqa: S311 - sampling, not secrecy
    batches: list[Batch] = []
    for new, old in turns:
        lengths = [*(order.lengths[index] for index in new), *(order.remembered[index] for index in old)]
        for _ in range(order.epochs):
            for places in _epoch(lengths, order.batch_size, shuffle):
                fresh = tuple(new[place] for place in places if place < len(new))
                batches.append(Batch(fresh, tuple(old[place - len(new)] for place in places if place >= len(new))))
    return batches
