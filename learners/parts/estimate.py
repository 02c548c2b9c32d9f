"""What a stage needs to know before it starts or keep when it ends: the diagonal Fisher information.

Owns `memory/fisher.safetensors`. The empirical Fisher of Kirkpatrick et al. 2017: the mean over sequences of the
squared gradient of each sequence's log-likelihood (squared per sequence; the square of a batch's mean is not it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from learners.parts import keep
from learners.parts.likelihood import nats
from learners.parts.penalties import trainable_copy
from learners.parts.rows import Row, batch_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["diagonal_fisher", "merged", "read_fisher", "write_fisher"]

_FISHER = "fisher"


def diagonal_fisher(model: PreTrainedModel, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """Estimate the diagonal Fisher of the trainable weights at their present values.

    Args:
        model: left as it was: mode, weights and gradients.
        rows: sequences to estimate on, one gradient each.

    Returns:
        By parameter name, float32, scaled so that the mean over all trainable weights is 1 (all ones when every
        gradient is zero or there are no rows: the penalty is then L2-SP).
    """
    import torch

    trainable = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    total = {name: torch.zeros_like(weight, dtype=torch.float32) for name, weight in trainable.items()}
    training = model.training
    model.eval()
    for row in rows:
        gradients = torch.autograd.grad(nats(model, batch_of([row], model.device)).sum(), list(trainable.values()))
        for name, gradient in zip(trainable, gradients, strict=True):
            total[name] += gradient.float().square()
    model.train(training)
    return _mean_one(total)


def _mean_one(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    import torch

    count = sum(value.numel() for value in values.values())
    mean = sum(float(value.sum()) for value in values.values()) / max(count, 1)
    if mean == 0:
        return {name: torch.ones_like(value) for name, value in values.items()}
    return {name: value / mean for name, value in values.items()}


def merged(
    past: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor], decay: float
) -> dict[str, torch.Tensor]:
    """Online Fisher: decay * past + present, scaled to mean 1 again."""
    return _mean_one({name: decay * past[name].to(value.device) + value for name, value in present.items()})


def write_fisher(folder: Path, fisher: Mapping[str, torch.Tensor]) -> None:
    """Write a Fisher into a `memory/` folder that is being built."""
    keep.write(folder, _FISHER, fisher)


def read_fisher(folder: Path, model: PreTrainedModel) -> dict[str, torch.Tensor] | None:
    """Read the Fisher of a parent's `memory/` folder; None when it has none for the weights that are trained now."""
    return keep.read(folder, _FISHER, like=trainable_copy(model))
