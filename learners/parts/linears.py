"""The linear layers inside a transformer's blocks: what masks, pruning and activation statistics work on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from learners.parts.rows import Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["input_moments", "input_norms", "linears", "through_blocks"]


def linears(model: PreTrainedModel) -> dict[str, torch.nn.Linear]:
    """Every linear layer of a plain model by name, but those that make logits."""
    from torch import nn

    head = model.get_output_embeddings()
    return {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head
    }


def input_norms(model: PreTrainedModel, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """The root of the summed squares of what enters each linear layer, over all tokens of `rows`: name -> (inputs,)."""
    found = _over(model, rows, linears(model), lambda tokens: tokens.square().sum(dim=0))
    return {name: value.sqrt() for name, value in found.items()}


def input_moments(
    model: PreTrainedModel, rows: Sequence[Row], layers: Mapping[str, torch.nn.Linear]
) -> dict[str, torch.Tensor]:
    """The second moment of what enters each of some layers: the sum of x x^T over all tokens of `rows`.

    Returns:
        By the layer's name (inputs x inputs, float32).
    """
    return _over(model, rows, layers, lambda tokens: tokens.T @ tokens)


def _over(
    model: PreTrainedModel, rows: Sequence[Row], layers: Mapping[str, torch.nn.Linear],
    statistic: Callable[[torch.Tensor], torch.Tensor],
) -> dict[str, torch.Tensor]:  # fmt: skip
    """A statistic of what enters layers, summed over all tokens of `rows`; the model is left in its mode."""
    import torch

    training = model.training
    model.eval()
    with torch.no_grad(), _summed(layers, statistic) as found:
        for row in rows:
            model(input_ids=torch.tensor([row["input_ids"]], device=model.device), use_cache=False)
    model.train(training)
    return found


def through_blocks(
    model: PreTrainedModel, rows: Sequence[Row], change: Callable[[Mapping[str, torch.Tensor]], None]
) -> None:
    """Send rows through a plain model block by block; what a block makes of them is computed after it was changed.

    Args:
        rows: what is sent through.
        change: called once a block with the second moment of what enters each of its linear layers, by the name of the
            layer: the sum of x x^T over all tokens of `rows` (inputs x inputs, float32).
    """
    import torch

    decoder: Any = model.get_decoder()
    names = {module: name for name, module in linears(model).items()}
    training = model.training
    model.eval()
    with torch.no_grad():
        passing = _entering(model, decoder, rows)
        for number, block in enumerate(decoder.layers):
            own = {names[module]: module for module in block.modules() if module in names}
            with _summed(own, lambda tokens: tokens.T @ tokens) as moments:
                for row in passing:
                    row.through(block, number)
            change(moments)
            for row in passing:
                row.hidden = row.through(block, number)
    model.train(training)


@dataclass
class _Passing:
    """A row on its way: what leaves the block before, and the other arguments of each block's call."""

    hidden: torch.Tensor
    others: list[tuple[tuple[Any, ...], dict[str, Any]]]

    def through(self, block: torch.nn.Module, number: int) -> torch.Tensor:
        arguments, named = self.others[number]
        output = block(self.hidden, *arguments, **named)
        return output[0] if isinstance(output, tuple) else output


def _entering(model: PreTrainedModel, decoder: Any, rows: Sequence[Row]) -> list[_Passing]:
    """Every row before the first block."""
    import torch

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def note(module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        calls.append((arguments, named))

    handles = [block.register_forward_pre_hook(note, with_kwargs=True) for block in decoder.layers]
    passing: list[_Passing] = []
    for row in rows:
        calls.clear()
        decoder(input_ids=torch.tensor([row["input_ids"]], device=model.device), use_cache=False)
        passing.append(_Passing(calls[0][0][0], [(arguments[1:], named) for arguments, named in calls]))
    for handle in handles:
        handle.remove()
    return passing


@contextmanager
def _summed(
    layers: Mapping[str, torch.nn.Linear], statistic: Callable[[torch.Tensor], torch.Tensor]
) -> Generator[dict[str, torch.Tensor]]:
    """A statistic of what enters each layer (tokens x inputs, float32), summed over all calls inside the block."""
    found: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Any:
        def add(module: Any, arguments: tuple[torch.Tensor, ...]) -> None:
            value = statistic(arguments[0].float().flatten(0, -2))
            found[name] = found[name] + value if name in found else value

        return add

    handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
