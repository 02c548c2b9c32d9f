"""Orthogonal subspace fine-tuning: the large singular directions of every weight matrix are kept, the small ones learn.

Owns the two parts of a linear layer in training, and their sum, which is a plain layer again. Nayak et al. 2025,
Sculpting Subspaces (arXiv:2504.07097).

The decomposition is that of peft's OSF, which is not used: it carries the factors as they were beside those that learn
through every pass, on top of the whole weight, and it projects gradients, while Adam scales every entry of a step by
itself, so that the step leaves the subspace again and factors have to be projected behind it. Here they are projected
where they are used, so no step can reach what is kept, and what comes back is the projected gradient: the same weights
within rounding, for two thirds of the arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from learners.parts.linears import linears

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Split", "joined", "split"]


class Split(nn.Module):
    """A linear layer, split by the singular values of its weight.

    The factors of what stays are `kept_left` (outputs x k), `kept_scale` (k) and `kept_right` (inputs x k), those of
    what learns `left` (outputs x r), `scale` (r) and `right` (inputs x r). Of the latter only what is orthogonal to the
    former counts. At first the layer is the one that it was made of, within rounding.

    Args:
        layer: the plain layer; its bias stays.
        kept_share: of its singular directions, the largest first, that stay; at least one.
    """

    kept_left: torch.Tensor
    kept_scale: torch.Tensor
    kept_right: torch.Tensor

    def __init__(self, layer: nn.Linear, kept_share: float) -> None:
        super().__init__()
        left, values, right = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
        kept = max(1, int(kept_share * len(values)))
        self.bias = layer.bias
        self.left = nn.Parameter(left[:, kept:].contiguous())
        self.scale = nn.Parameter(values[kept:].clone())
        self.right = nn.Parameter(right[kept:].T.contiguous())
        self.register_buffer("kept_left", left[:, :kept].contiguous())
        self.register_buffer("kept_scale", values[:kept].clone())
        self.register_buffer("kept_right", right[:kept].T.contiguous())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The layer's outputs; what the factors have along kept directions is taken out on both of their sides."""
        kept = inputs @ self.kept_right
        learned = (inputs @ self.right - kept @ (self.kept_right.T @ self.right)) * self.scale
        kept = kept * self.kept_scale - learned @ (self.left.T @ self.kept_left)
        return functional.linear(kept, self.kept_left, self.bias) + functional.linear(learned, self.left)

    @torch.no_grad()
    def plain(self) -> nn.Linear:
        """One matrix again."""
        left, right = _outside(self.left, self.kept_left), _outside(self.right, self.kept_right)
        layer = nn.Linear(len(right), len(left), bias=False, device=left.device)
        layer.weight.copy_((self.kept_left * self.kept_scale) @ self.kept_right.T + (left * self.scale) @ right.T)
        layer.bias = self.bias
        return layer


def _outside(columns: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return columns - kept @ (kept.T @ columns)


def split(model: PreTrainedModel, kept_share: float) -> PreTrainedModel:
    """Split every linear layer of a plain, frozen model in place, but those that make logits; the small parts learn.

    Args:
        kept_share: of each matrix's singular directions, the largest first, that stay as they are.
    """
    for name, layer in linears(model).items():
        model.set_submodule(name, Split(layer, kept_share))
    return model


def joined(model: PreTrainedModel) -> PreTrainedModel:
    """The plain model that a split one is, in place."""
    for name, layer in [(name, part) for name, part in model.named_modules() if isinstance(part, Split)]:
        model.set_submodule(name, layer.plain())
    return model
