"""Averages of two versions: the weights before a stage and those after it, layer by layer.

Owns theta_k = (1 - a_k) * before + a_k * after over blocks k of neighbouring layers, the choice of the a_k around a
given mean, and what an average of two LoRA adapters is: a sum of two products, exact at twice the rank, and cut back to
the rank by its singular values. Where the parent had no adapter yet, scaling the new one is the average itself.
Lin et al. 2023 (arXiv:2309.06256).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.func import functional_call

from learners.parts.likelihood import nats
from learners.parts.rows import Row, batch_of, learned

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Average", "searched"]

_LAYER = re.compile(r"\.layers\.(\d+)\.")
_ROWS_AT_ONCE = 4  # of the search: their graphs are kept together
_ROW_NORM = 3**-0.5  # of a fresh adapter's A, so that what the cut left empty learns again


class Average:
    """Between what a model's trained weights were and what they are.

    Args:
        model: trained; full weights, or a `PeftModel` whose adapter `default` was trained.
        before: `trainable_copy` of it before the first step.
        blocks: of neighbouring layers that share a number; weights outside all layers take the mean of all.
    """

    def __init__(self, model: PreTrainedModel, before: Mapping[str, torch.Tensor], *, blocks: int) -> None:
        self._model, self._before = model, before
        self._after = {name: dict(model.named_parameters())[name].detach().clone() for name in before}
        self._layers = int(model.config.num_hidden_layers)
        self.blocks = min(blocks, self._layers)

    def weights(self, shares: torch.Tensor) -> dict[str, torch.Tensor]:
        """By name, the average of every matrix that a forward pass multiplies with, differentiable in `shares`.

        Args:
            shares: a_k of each block (blocks,). Of an adapter, B alone is taken as it is averaged, see `_joined`.
        """
        return {name: self._mixed(name, self._share(name, shares)) for name in self._before}

    def _share(self, name: str, shares: torch.Tensor) -> torch.Tensor:
        found = _LAYER.search(name)
        return shares[int(found.group(1)) * self.blocks // self._layers] if found else shares.mean()

    def _mixed(self, name: str, share: torch.Tensor) -> torch.Tensor:
        before, after = self._before[name], self._after[name]
        if ".lora_A." in name:
            return torch.cat([before, after])
        if ".lora_B." in name:
            return torch.cat([(1 - share) * before, share * after], dim=1)
        return torch.lerp(before, after, share)

    def apply(self, shares: torch.Tensor) -> None:
        """Put the average into the model; an adapter is cut back to its rank."""
        mixed = self.weights(shares)
        own = dict(self._model.named_parameters())
        with torch.no_grad():
            for name, value in mixed.items():
                if ".lora_B." in name:
                    other = name.replace(".lora_B.", ".lora_A.")
                    own[other].data, own[name].data = self._factors(name, other, mixed)
                elif ".lora_A." not in name:
                    own[name].data = value

    def _factors(self, name: str, other: str, mixed: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        rank = len(self._before[other])
        if not self._before[name].any():
            return self._after[other], mixed[name][:, rank:].contiguous()
        return _cut(mixed[other], mixed[name], rank)


def _cut(a: torch.Tensor, b: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest product of `rank` to b @ a (Eckart and Young), without ever making that matrix."""
    left, core_left = torch.linalg.qr(b)
    right, core_right = torch.linalg.qr(a.T)
    u, values, v = torch.linalg.svd(core_left @ core_right.T, full_matrices=False)
    rows = v[:rank] @ right.T * _ROW_NORM
    return rows.contiguous(), (left @ u[:, :rank] * values[:rank] / _ROW_NORM).contiguous()


def searched(model: PreTrainedModel, average: Average, rows: Sequence[Row], *, mean: float, steps: int) -> torch.Tensor:
    """The shares, `mean` on average, under which the averaged model finds `rows` most likely.

    Args:
        rows: what the stage learned.
        mean: of all shares; more of the stage in one block is less of it in another.
        steps: of the search, each of at most a tenth; 0, or a single block: all shares are equal.

    Returns:
        A number in [0, 1] for each block.
    """
    shares = torch.full((average.blocks,), mean, device=model.device)
    for _ in range(steps if average.blocks > 1 else 0):
        slope = _slope(model, average, shares, rows)
        slope = slope - slope.mean()  # what all blocks have in common is the mean's, which is given
        shares = _around(shares - 0.1 * slope / slope.abs().max().clamp(min=1e-12), mean)
    return shares


def _slope(model: PreTrainedModel, average: Average, shares: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """Of the rows' mean negative log-likelihood per token under the averaged model, summed over rows, in the shares."""
    slope = torch.zeros_like(shares)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        batch = batch_of(rows[start : start + _ROWS_AT_ONCE], model.device)
        at = shares.clone().requires_grad_(True)
        told = nats(model, batch, by=partial(_called, model, average.weights(at)))
        (own,) = torch.autograd.grad((told.sum(dim=1) / learned(batch).sum(dim=1)).sum(), at)
        slope += own
    return slope


def _called(model: PreTrainedModel, weights: dict[str, torch.Tensor], **inputs: Any) -> Any:
    return functional_call(model, weights, kwargs=inputs)


def _around(shares: torch.Tensor, mean: float) -> torch.Tensor:
    """The nearest shares in [0, 1] with that mean: all are shifted alike, then cut, by bisection."""
    low, high = -1.0 - float(shares.max()), 1.0 + float(shares.abs().max())
    for _ in range(50):
        shift = (low + high) / 2
        low, high = (shift, high) if float((shares + shift).clamp(0, 1).mean()) < mean else (low, shift)
    return (shares + (low + high) / 2).clamp(0, 1)
