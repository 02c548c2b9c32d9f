"""The linear layers inside a transformer's blocks: what masks, pruning and activation statistics work on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from learners.parts.views import Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["input_norms", "linears"]


def linears(model: PreTrainedModel) -> dict[str, torch.nn.Linear]:
    """Every linear layer of a plain model by name, but those that make logits."""
    from torch import nn

    head = model.get_output_embeddings()
    return {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head
    }


def input_norms(model: PreTrainedModel, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """The root of the summed squares of what enters each linear layer, over all tokens of `rows`: name -> (inputs,)."""
    import torch

    total: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Any:
        def add(module: Any, arguments: tuple[torch.Tensor, ...]) -> None:
            squares = arguments[0].detach().float().square().flatten(0, -2).sum(dim=0)
            total[name] = total[name] + squares if name in total else squares

        return add

    handles = [module.register_forward_pre_hook(watch(name)) for name, module in linears(model).items()]
    training = model.training
    model.eval()
    with torch.no_grad():
        for row in rows:
            model(input_ids=torch.tensor([row["input_ids"]], device=model.device), use_cache=False)
    model.train(training)
    for handle in handles:
        handle.remove()
    return {name: value.sqrt() for name, value in total.items()}
