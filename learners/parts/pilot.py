"""Pilot runs: short trainings of the model as it is, to measure what a mixture would do; the model is put back.

Owns a bare training loop over rows, without checkpoints, callbacks or a method: a pilot is a measurement, a few dozen
steps, and made again after a crash. Used by methods in `compose`, before the run that it decides about.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from learners.parts.law import Point
from learners.parts.likelihood import negative_log_likelihood
from learners.parts.penalties import trainable_copy
from learners.parts.rows import Row, batch_of
from learners.parts.select import novelty

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["after_mixture", "pilot"]


def pilot(
    model: PreTrainedModel,
    new: Sequence[Row],
    old: Sequence[Row],
    probe: Sequence[Row],
    *,
    share: float,
    steps: int,
    measured_every: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> list[Point]:
    """Train on a mixture of new and old data and measure the loss on old data on the way.

    Args:
        model: its trainable weights are put back afterwards.
        new, old: rows of both kinds; each batch draws `share` of its rows from the new ones.
        probe: rows that the loss is measured on; of the old kind, and not among `old`.

    Returns:
        A point after every `measured_every` steps, with the share of OLD data.
    """
    draw = random.Random(f"{seed}:{share}")  # noqa: S311 - sampling, not secrecy

    def batch() -> list[Row]:
        return [draw.choice(new if draw.random() < share else old) for _ in range(batch_size)]

    return [
        Point(tokens, 1 - share, loss)
        for tokens, loss in _trial(model, batch, probe, steps, measured_every, learning_rate)
    ]


def after_mixture(
    model: PreTrainedModel,
    groups: Mapping[str, Sequence[Row]],
    weights: Mapping[str, float],
    probe: Sequence[Row],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> float:
    """Train on a mixture of sources and return the mean loss on `probe` at the end, in nats.

    Args:
        model: its trainable weights are put back afterwards.
        groups: rows of each source, none empty, none of them in `probe`.
        weights: of every source, in any unit: how often its rows are drawn.
    """
    draw = random.Random(f"{seed}:mixture")  # noqa: S311 - sampling, not secrecy
    names = list(groups)

    def batch() -> list[Row]:
        return [
            draw.choice(groups[name]) for name in draw.choices(names, [weights[one] for one in names], k=batch_size)
        ]

    ((_, loss),) = _trial(model, batch, probe, steps, steps, learning_rate)
    return loss


def _trial(
    model: PreTrainedModel,
    batch: Callable[[], list[Row]],
    probe: Sequence[Row],
    steps: int,
    measured_every: int,
    learning_rate: float,
) -> list[tuple[int, float]]:
    """Train, measure (tokens so far, mean loss on the probe) on the way, and put the weights back."""
    import torch

    before = trainable_copy(model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0)
    found: list[tuple[int, float]] = []
    tokens = 0
    for step in range(1, steps + 1):
        rows = batch()
        tokens += sum(len(row["input_ids"]) for row in rows)
        optimizer.zero_grad()
        negative_log_likelihood(model, batch_of(rows, model.device)).backward()
        optimizer.step()
        if step % measured_every == 0:
            values = novelty(model, probe)
            found.append((tokens, sum(values) / len(values)))
    optimizer.zero_grad()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in before:
                weight.copy_(before[name])
    return found
