"""Which units of a transformer matter: attention heads, feed-forward neurons and feed-forward outputs.

Owns the importance of a unit as the size of a loss's gradient at its gate (`learners.parts.gates`), its accumulation
over stages in `memory/units.safetensors`, and the map from units to the weights that belong to them.

Source: Ke et al. 2023, Continual Pre-training of Language Models (arXiv:2302.03241), section 3. The KL between two
passes has a gradient only where the passes differ, and decoders have no dropout: noise is injected here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from learners.parts import keep
from learners.parts.gates import gated, noisy
from learners.parts.rows import Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = [
    "Units", "accumulated", "domain_importance", "general_importance", "normalised", "read", "shares_of_update",
    "write",
]  # fmt: skip

Units = dict[str, "torch.Tensor"]
"""Importance by `<layer>.<family>`, families `heads`, `neurons`, `outputs`; one number per unit."""

_NAME = "units"
_PARAMETER = re.compile(r"layers\.(\d+)\.(?:self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj\.(?:(lora_[AB])\..*)?weight$")


def domain_importance(model: PreTrainedModel, rows: Sequence[Row]) -> Units:
    """mean over rows of |d likelihood loss / d gate|, at the model's present weights (equation 6)."""

    def loss(ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return model(input_ids=ids, labels=labels, use_cache=False).loss

    return _importance(model, rows, loss)


def general_importance(model: PreTrainedModel, rows: Sequence[Row], *, noise: float, seed: int) -> Units:
    """mean over rows of |d KL(f1 || f2) / d gate| for two noisy passes of the model (equation 3).

    Args:
        noise: dropout rate on embeddings and on what attention and feed-forward layers add; at 0 both passes are equal
            and every importance is 0.
    """
    import torch
    from torch.nn.functional import kl_div, log_softmax

    draw = torch.Generator(device=model.device).manual_seed(seed)

    def loss(ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with noisy(model, noise, draw):
            first, second = (log_softmax(model(input_ids=ids, use_cache=False).logits.float(), -1) for _ in range(2))
        return kl_div(second.flatten(0, 1), first.flatten(0, 1), log_target=True, reduction="batchmean")

    return _importance(model, rows, loss)


def _importance(
    model: PreTrainedModel, rows: Sequence[Row], loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> Units:
    """One gradient per row: the sum of signed gradients over rows would cancel."""
    import torch

    training = model.training
    model.eval()
    with gated(model) as gates:
        total = {name: torch.zeros_like(gate) for name, gate in gates.items()}
        for row in rows:
            ids, labels = (torch.tensor([row[key]], device=model.device) for key in ("input_ids", "labels"))
            gradients = torch.autograd.grad(loss(ids, labels), list(gates.values()))
            for name, gradient in zip(gates, gradients, strict=True):
                total[name] += gradient.detach().abs() / len(rows)
    model.train(training)
    return total


def normalised(units: Mapping[str, torch.Tensor]) -> Units:
    """|tanh((I - mean) / std)| per layer and family, in [0, 1); all zero where every unit matters alike."""
    import torch

    found: Units = {}
    for name, value in units.items():
        spread = value.std()
        found[name] = torch.tanh((value - value.mean()) / spread).abs() if spread > 0 else torch.zeros_like(value)
    return found


def accumulated(past: Mapping[str, torch.Tensor] | None, present: Mapping[str, torch.Tensor]) -> Units:
    """What mattered to any stage so far: the larger of both, unit by unit."""
    import torch

    return {
        name: value if past is None else torch.maximum(value, past[name].to(value.device))
        for name, value in present.items()
    }


def write(folder: Path, units: Mapping[str, torch.Tensor]) -> None:
    """Write accumulated importances into a `memory/` folder that is being built."""
    keep.write(folder, _NAME, units)


def read(folder: Path, model: PreTrainedModel) -> Units | None:
    """Read the accumulated importances of a `memory/` folder; None where it has none for the units of this model."""
    with gated(model) as gates:
        return keep.read(folder, _NAME, like=gates)


def shares_of_update(model: PreTrainedModel, units: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """How much of each step every trained weight keeps: 1 - importance of the unit it belongs to.

    Rows of q, k and v and columns of o belong to a head (rows of k and v, which several heads share, to the one that
    matters most), rows of gate and up to a neuron, rows of down to an output. Of a LoRA pair the factor on the unit's
    side is scaled. Other weights have no share and keep their whole step.

    Returns:
        By parameter name, broadcast to its parameter.
    """
    config = model.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    shares: dict[str, torch.Tensor] = {}
    for name, weight in model.named_parameters():
        found = _PARAMETER.search(name)
        if not found or not weight.requires_grad:
            continue
        layer, part, factor = found.groups()
        family = {"gate": "neurons", "up": "neurons", "down": "outputs"}.get(part, "heads")
        kept = 1 - units[f"{layer}.{family}"]
        if part in "kv":
            kept = kept.view(config.num_key_value_heads, -1).amin(dim=1)
        if part in "qkvo":
            kept = kept.repeat_interleave(width)
        if factor == ("lora_B" if part == "o" else "lora_A"):
            continue
        shares[name] = kept.unsqueeze(0) if part == "o" else kept.unsqueeze(1)
    return shares
