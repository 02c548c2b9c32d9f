"""Which layers of a model a new LoRA adapter stands on.

Owns the meaning of the setting `lora_targets`. Called by `learners.weights`, which wraps the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from learners.failures import InvalidInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["LoraTargets", "target_modules"]

LoraTargets = Literal["auto", "attention", "mlp"] | tuple[str, ...]
"""All linear layers of the blocks, those that attend, the others, or those with the given names."""

_ATTENDS = ("attention", "attn")  # in the class or name of the module around a layer, in every architecture of peft


def target_modules(model: PreTrainedModel, asked: LoraTargets) -> str | list[str]:
    """What peft's `target_modules` must be.

    Args:
        model: a plain model.
        asked: a name of `LoraTargets`, or names of layers: the last part of their path (`q_proj`) or more of it
            (`self_attn.q_proj`, `layers.3.mlp.down_proj`), each of which must fit at least one layer.

    Raises:
        InvalidInput: a name fits no layer, or the model has no layer of that sort.
    """
    if asked == "auto":
        return "all-linear"
    found = dict(_layers(model))
    if not isinstance(asked, str):
        return _named(asked, list(found))
    wanted = sorted({_short(name) for name, attends in found.items() if attends == (asked == "attention")})
    if not wanted:
        raise InvalidInput(f"lora_targets = {asked!r} fits no layer of {type(model).__name__}; {_choice(list(found))}")
    return wanted


def _layers(model: PreTrainedModel) -> Iterator[tuple[str, bool]]:
    """Path of each layer that takes an adapter, and whether it attends."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    modules = dict(model.named_modules())
    for name, module in modules.items():
        if isinstance(module, (Linear, Conv1D)) and module is not head:
            parent = name.rpartition(".")[0]
            around = f"{parent.rpartition('.')[2]} {type(modules[parent]).__name__}".lower()
            yield name, any(word in around for word in _ATTENDS)


def _named(asked: tuple[str, ...], there: list[str]) -> list[str]:
    for name in asked:
        if not any(path == name or path.endswith(f".{name}") for path in there):
            raise InvalidInput(f"lora_targets names {name!r}, and no layer is called that; {_choice(there)}")
    if not asked:
        raise InvalidInput(f"lora_targets is empty; {_choice(there)}")
    return sorted(asked)


def _choice(there: list[str]) -> str:
    short = sorted({name.rpartition(".")[2] for name in there})
    return f"set it to 'auto', 'attention', 'mlp' or names of layers: {', '.join(short)}"


def _short(name: str) -> str:
    """The last two parts of a path: GPT-2 calls a layer c_proj in both halves of a block."""
    return ".".join(name.split(".")[-2:])
