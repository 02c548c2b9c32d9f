"""A learned choice of weights: every weight of a frozen layer is used or not, by a score that is trained.

Owns the parameterisation and its bits in a `memory/` folder. Mallya et al. 2018, Piggyback (arXiv:1801.06519): forward
W * 1[score > threshold], backward straight through the threshold, so d loss / d score = d loss / d W_eff * W.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

__all__ = ["fold", "mask", "packed", "unpacked"]

_START, _THRESHOLD = 1e-2, 5e-3


class _Mask(nn.Module):
    """1[score > threshold] * weight."""

    def __init__(self, used: torch.Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(used.float() * _START)

    def used(self) -> torch.Tensor:
        """Where a weight is used."""
        return self.scores > _THRESHOLD

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The effective weight; its gradient reaches every score, used or not."""
        hard = self.used().to(weight.dtype)
        return weight * (hard + (self.scores - self.scores.detach()))  # the bracket is exactly 0


def mask(layers: Mapping[str, nn.Linear], used: Mapping[str, torch.Tensor] | None = None) -> None:
    """Train scores in place of these layers' weights.

    Args:
        layers: by name; their weights are frozen.
        used: weights in use at first, all where it is None.
    """
    for name, layer in layers.items():
        layer.requires_grad_(False)
        start = torch.ones_like(layer.weight, dtype=torch.bool) if used is None else used[name].to(layer.weight.device)
        parametrize.register_parametrization(layer, "weight", _Mask(start), unsafe=True)


def fold(layers: Iterable[nn.Linear]) -> list[torch.Tensor]:
    """Put the masked weights in the layers' place for good; return what was used, layer by layer."""
    found: list[torch.Tensor] = []
    for layer in layers:
        parametrization: Any = layer.parametrizations["weight"]  # pyright: ignore
        found.append(parametrization[0].used().detach())
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return found


def packed(used: torch.Tensor) -> torch.Tensor:
    """One bit per weight: bytes, the last one filled with zeros."""
    bits = used.flatten().to(torch.uint8).cpu()
    padded = nn.functional.pad(bits, (0, -len(bits) % 8)).view(-1, 8)
    return (padded << torch.arange(8, dtype=torch.uint8)).sum(dim=1, dtype=torch.uint8)


def unpacked(bits: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """What `packed` packed."""
    spread = (bits.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)) & 1
    return spread.flatten()[: shape.numel()].view(shape).bool()
