"""Virtual gates of a transformer's units, and noise inside it: hooks that are there for the length of a block.

Owns both and the names of the gates, `<layer>.<family>` with the families `heads` (attention heads), `neurons` and
`outputs` (of the feed-forward layer). Gates are hooks: Llama-like models accept `head_mask` and ignore it. Noise is
injected because decoders have no dropout, and two passes of the same rows would be equal. Used by
`learners.parts.units` and `learners.parts.contrast`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["gated", "noisy"]


def _layers(model: PreTrainedModel) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "self_attn") and hasattr(module, "mlp")]


@contextmanager
def gated(
    model: PreTrainedModel, values: Mapping[str, torch.Tensor] | None = None
) -> Generator[dict[str, torch.Tensor]]:
    """Multiply every unit with a gate, inside the block; the gates require gradients.

    Args:
        values: of the gates by `<layer>.<family>`, one number per unit; ones where it is None.
    """
    import torch

    gates: dict[str, torch.Tensor] = {}
    handles: list[Any] = []
    for number, layer in enumerate(_layers(model)):
        output, down = layer.self_attn.o_proj, layer.mlp.down_proj
        sizes = {"heads": model.config.num_attention_heads, "neurons": down.in_features, "outputs": down.out_features}
        ones = {family: torch.ones(size, device=model.device) for family, size in sizes.items()}
        if values is not None:
            ones = {family: values[f"{number}.{family}"].to(one.device) for family, one in ones.items()}
        own = {family: gate.detach().clone().requires_grad_(True) for family, gate in ones.items()}
        gates |= {f"{number}.{family}": gate for family, gate in own.items()}
        width = output.in_features // sizes["heads"]
        handles += [
            output.register_forward_pre_hook(_times_input(own["heads"], width)),
            down.register_forward_pre_hook(_times_input(own["neurons"], 1)),
            down.register_forward_hook(_times_output(own["outputs"])),
        ]
    try:
        yield gates
    finally:
        for handle in handles:
            handle.remove()


def _times_input(gate: torch.Tensor, width: int) -> Callable[[Any, Any], Any]:
    return lambda module, arguments: (arguments[0] * gate.repeat_interleave(width), *arguments[1:])


def _times_output(gate: torch.Tensor) -> Callable[[Any, Any, Any], Any]:
    return lambda module, arguments, output: output * gate


@contextmanager
def noisy(model: PreTrainedModel, rate: float, draw: torch.Generator) -> Generator[None]:
    """Dropout at `rate` on embeddings and residual branches, inside the block, drawn from `draw`."""
    import torch

    def drop(module: Any, arguments: Any, output: torch.Tensor) -> torch.Tensor:
        kept = torch.rand(output.shape, generator=draw, device=output.device) >= rate
        return output * kept / (1 - rate)

    modules: list[Any] = [model.get_input_embeddings()]
    modules += [part for layer in _layers(model) for part in (layer.self_attn.o_proj, layer.mlp.down_proj)]
    handles = [module.register_forward_hook(drop) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
