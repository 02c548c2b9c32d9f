"""Batches that several processes read together: each reads a part of the rows, and all know what became of every row.

Owns the way in which a loss that is no mean over rows (multipliers that adapt, groups that are compared, estimates over
a batch) is shared out: every process has the whole batch and computes the whole loss, and only the reading, which is
the work, is divided. So the loss is exactly that of one process, and so is its gradient, which flows back to whoever
read the row. With one process everything here is the identity. Called by the trainers of pairs, labels and prompts
and by the parts that read rows for such a loss; losses that are means are weighed instead, see `learners.ranks`.

All processes have to call these functions together, in the same order and with equal rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from learners import ranks

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Together", "average_gradients", "by_rows", "join", "unwrapped"]


def join() -> None:
    """Let this process meet the others of its job, before any of them reads weights; accelerate finds it done.

    All of them then read all weights: methods look at these before the trainer slices them, where it does.
    """
    if ranks.count() > 1:
        from accelerate import PartialState

        os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
        PartialState(cpu=not torch.cuda.is_available())


def by_rows(
    read: Callable[[Mapping[str, torch.Tensor]], torch.Tensor], rows: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """What `read` makes of all rows, of which each process reads its part.

    Args:
        read: rows -> one entry for each of them (rows x ...), whose further sizes do not depend on which they are. A
            process for which no row is left reads one that does not count, as forward passes are collectives, too.
        rows: tensors whose first dimension is the rows, equal in every process.
    """
    if ranks.count() == 1:
        return read(rows)
    number = len(next(iter(rows.values())))
    places = torch.arange(ranks.rank(), number, ranks.count())
    own = read({name: value[places if len(places) else slice(1)] for name, value in rows.items()})
    return _Whole.apply(own[: len(places)], places.to(own.device), number)  # pyright: ignore


class _Whole(torch.autograd.Function):
    """Entries of every process put together; the gradient of each, which all of them have, goes back to its own."""

    @staticmethod
    def forward(ctx: Any, own: torch.Tensor, places: torch.Tensor, number: int) -> torch.Tensor:
        ctx.places = places
        whole = own.new_zeros((number, *own.shape[1:]))
        whole[places] = own
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # pyright: ignore
        summed = gradients[0].clone()
        distributed.all_reduce(summed)  # every process has a loss, and the trainer takes the mean of their gradients
        return summed[ctx.places], None, None


class Together:
    """A model as trl calls it, with its fused head: what it says of each token it says of all rows, by `by_rows`.

    Args:
        model: with trl's `add_fused_lm_head`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, **inputs: Any) -> Any:
        """The model's output for the rows among the inputs; a number for the whole batch is that of the own part."""
        if ranks.count() == 1:
            return self._model(**inputs)
        rows = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
        options = {name: value for name, value in inputs.items() if name not in rows}
        heard: list[Any] = []

        def read(part: Mapping[str, torch.Tensor]) -> torch.Tensor:
            heard.append(self._model(**part, **options))
            return torch.stack([getattr(heard[0], name).float() for name in _of_tokens(heard[0])], dim=-1)

        whole = by_rows(read, rows).unbind(dim=-1)
        for name, value in zip(_of_tokens(heard[0]), whole, strict=True):
            setattr(heard[0], name, value.to(getattr(heard[0], name).dtype))
        return heard[0]


def _of_tokens(said: Any) -> list[str]:
    """Names of what an output says of each token."""
    found = {one.name: getattr(said, one.name) for one in fields(said)}
    return [name for name, value in found.items() if value is not None and value.shape == said.log_probs.shape]


def average_gradients(model: PreTrainedModel) -> None:
    """Give every process the mean of what all of them found; a weight that none of them used keeps no gradient.

    In place of data-parallel's own, which knows the weights that a forward pass used, and not those that only a loss
    term does. It would save the time that gradients travel while others are still being computed.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    used = torch.tensor([float(weight.grad is not None) for weight in weights], device=weights[0].device)
    distributed.all_reduce(used)
    sent: list[Any] = []
    for weight, uses in zip(weights, used.tolist(), strict=True):
        if uses:
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad.div_(ranks.count())
            sent.append(distributed.all_reduce(weight.grad, async_op=True))
    for one in sent:
        one.wait()


def unwrapped(model: PreTrainedModel) -> PreTrainedModel:
    """The model itself, where data-parallel processes wrap it."""
    return model.module if isinstance(model, DistributedDataParallel) else model
