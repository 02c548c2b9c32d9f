"""Sources one after the other: the batch plan of a curriculum of domains, for comparison with all of them mixed.

Owns which source comes when; `learners.parts.mix` owns the batches. A domain is what came from one source. Called in
`compose` by methods with the setting `source_order`.

Yildiz et al. 2024, Investigating Continual Pretraining in Large Language Models (arXiv:2402.17400): where each domain
is followed by the one most like it, a model is better at the newest domains; in random order it transfers better and
ends better on all of them. There likeness is that of sentence embeddings; here of the parent's own states, centred.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from learners.parts import row_numbers
from learners.parts.mix import Batch, Order, Replay, beside, in_turn
from learners.parts.select import embedded

if TYPE_CHECKING:
    import torch

    from learners.methods.contract import Run

__all__ = ["SourceOrder", "by_source", "likest_next"]

SourceOrder = Literal["mixed", "random", "similar"]
_LOOKED_AT = 16


def by_source(run: Run, order: SourceOrder, *, share: float = 0.0) -> Callable[[Order], list[Batch]] | None:
    """The plan that learns all epochs of one source, then all of the next.

    Args:
        order: `random` draws it; `similar` draws the first source, and then each time takes the one most like the last.
        share: of each batch that is rehearsed on top of the new rows.

    Returns:
        None where all are mixed, or there is one source alone: the trainer's own plan.
    """
    rows: dict[str, list[int]] = {}
    for record, numbers in row_numbers.of_records(run):
        rows.setdefault(record.source, []).extend(numbers)
    if order == "mixed" or len(rows) == 1:
        return None
    names = sorted(rows)
    random.Random(f"{run.seed}:sources").shuffle(names)  # noqa: S311 - sampling, not secrecy
    if order == "similar":
        names = likest_next({name: _centre(run, rows[name]) for name in names})

    def plan(asked: Order) -> list[Batch]:
        batches = in_turn(asked, [(rows[name], ()) for name in names])
        return beside(batches, Replay(len(asked.remembered), share), asked.seed)

    return plan


def likest_next(centres: Mapping[str, torch.Tensor]) -> list[str]:
    """The names, the first one first, each followed by the one left whose centre has the greatest cosine with its own.

    Args:
        centres: of each name a vector; cosines are of what they differ by from their common mean.
    """
    import torch
    from torch.nn.functional import cosine_similarity

    mean = torch.stack(list(centres.values())).mean(dim=0)
    first, *left = centres
    path = [first]
    while left:
        last = centres[path[-1]] - mean
        likest = max(left, key=lambda name: float(cosine_similarity(last, centres[name] - mean, dim=0)))
        left.remove(likest)
        path.append(likest)
    return path


def _centre(run: Run, rows: list[int]) -> torch.Tensor:
    """The mean state of rows of a source, taken evenly."""
    shown = rows[:: max(1, len(rows) // _LOOKED_AT)][:_LOOKED_AT]
    training = run.model.training
    run.model.eval()
    found = embedded(run.model, [run.new[row] for row in shown]).mean(dim=0)
    run.model.train(training)
    return found
