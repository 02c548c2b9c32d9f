"""Block expansion: a deeper model that at first answers exactly as before.

Owns the insertion of copied decoder blocks whose output projections are zero, so that their residual branches add
nothing until they learn. Wu et al. 2024, LLaMA Pro (arXiv:2401.02415). The result is a plain model with more layers.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

from learners.failures import InvalidInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["expanded"]

_OUTPUTS = ("self_attn.o_proj", "mlp.down_proj")


def expanded(model: PreTrainedModel, *, groups: int, each: int) -> list[torch.nn.Module]:
    """Add blocks to a plain model in place; all of its own weights are frozen, the new blocks learn.

    Args:
        groups: runs of neighbouring layers, as equal in length as can be; at most one for each layer.
        each: copies behind every group, of its last layers.

    Returns:
        The new blocks, from the input to the output.

    Raises:
        InvalidInput: the architecture has no blocks with `self_attn.o_proj` and `mlp.down_proj`.
    """
    decoder: Any = model.get_decoder()
    layers = list(getattr(decoder, "layers", []))
    _refuse_unknown(model, layers)
    groups = min(groups, len(layers))
    model.requires_grad_(False)
    kinds = list(getattr(model.config, "layer_types", None) or [])
    grown: list[Any] = []
    grown_kinds: list[str] = []
    added: list[torch.nn.Module] = []
    for group in range(groups):
        members = range(group * len(layers) // groups, (group + 1) * len(layers) // groups)
        copies = [_silent(layers[number]) for number in members[-each:]]
        grown += [*(layers[number] for number in members), *copies]
        grown_kinds += [kinds[number] for number in [*members, *members[-each:]]] if kinds else []
        added += copies
    _install(model, decoder, grown, grown_kinds)
    return added


def _refuse_unknown(model: PreTrainedModel, layers: list[Any]) -> None:
    if not layers or not all(name in dict(layer.named_modules()) for layer in layers for name in _OUTPUTS):
        raise InvalidInput(
            f"a {type(model).__name__} has no blocks with {' and '.join(_OUTPUTS)}, so copies of them cannot be made "
            "to add nothing at first; use a model of the Llama family, or another method"
        )


def _silent(layer: torch.nn.Module) -> torch.nn.Module:
    """A copy that adds nothing to the residual stream, but learns."""
    twin = copy.deepcopy(layer)
    for name in _OUTPUTS:
        for weight in twin.get_submodule(name).parameters():
            torch.nn.init.zeros_(weight)
    return twin.requires_grad_(True)


def _install(model: Any, decoder: Any, layers: list[Any], kinds: list[str]) -> None:
    """Number the layers anew: the key-value cache goes by these numbers."""
    for number, layer in enumerate(layers):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number
    decoder.layers = torch.nn.ModuleList(layers)
    model.config.num_hidden_layers = len(layers)
    if kinds:
        model.config.layer_types = kinds
