"""Unlearning layers of several deletions, fused into one that answers to each deletion's tokens much as its own did.

Owns `memory/fusion.safetensors`: of every matrix of the layers, the second moment of what entered it with the tokens
of all deletions so far. That is a statistic of what was forgotten, which a version keeps only where this is asked for.

Source: Chen and Yang 2023, Unlearn What You Want to Forget (arXiv:2310.20150), section 3.3: of matrices W_i, and X_i
what enters deletion i's, W minimises sum_i ||X_i W - X_i W_i||^2, that is W = (sum_i X_i^T X_i)^-1 sum_i X_i^T X_i W_i.
The sum of earlier moments stands for all earlier deletions, for the W before solves their part of it. Ours: the moments
are shrunk towards a multiple of the identity, so that W is near the mean of the W_i where no forgotten token was; with
the few tokens of a deletion the bare solution forgets, and all else with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from learners.parts import keep
from learners.parts.linears import input_moments
from learners.parts.rows import Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["fuse", "known", "regressed"]

_NAME: Final = "fusion"
_SHRUNK: Final = 0.2  # the identity's part, of a moment's mean square
_LEAST: Final = 1e-6  # eigenvalues below this part of the greatest are rounding of float32 sums


def known(folder: Path) -> bool:
    """Whether a version's `memory/` folder holds what fusing its layers needs."""
    return keep.read(folder, _NAME) is not None


def fuse(
    model: PreTrainedModel, layers: Mapping[str, torch.nn.Linear], before: Mapping[str, torch.Tensor],
    rows: Sequence[Row], folder: Path,
) -> None:  # fmt: skip
    """Fuse layers that were trained for a deletion with those before; of a first deletion, note what entered them.

    Args:
        layers: of the model, by name; their weights are changed.
        before: the matrices of all earlier deletions, by the same names; empty before the first.
        rows: what this deletion forgot.
        folder: `memory/` of the version that is being built.
    """
    import torch

    moments = {name: _shrunk(moment) for name, moment in input_moments(model, rows, layers).items()}
    past = keep.read(folder, _NAME) if before else None
    if past is not None:
        with torch.no_grad():
            for name, layer in layers.items():
                layer.weight.copy_(regressed([before[name], layer.weight], [past[name], moments[name]]))
        moments = {name: past[name] + moment.cpu() for name, moment in moments.items()}
    keep.write(folder, _NAME, moments)


def _shrunk(moment: torch.Tensor) -> torch.Tensor:
    import torch

    return moment + _SHRUNK * moment.diagonal().mean() * torch.eye(len(moment), device=moment.device)


def regressed(weights: Sequence[torch.Tensor], moments: Sequence[torch.Tensor]) -> torch.Tensor:
    """The matrix that answers to each one's inputs most as that one does, in the least squares.

    Args:
        weights: W_i (outputs x inputs), the newest last.
        moments: X_i^T X_i (inputs x inputs).

    Returns:
        The minimiser nearest to the newest (outputs x inputs, float64, on the processor).
    """
    import torch

    exact = [weight.detach().cpu().double() for weight in weights]
    seen = [moment.cpu().double() for moment in moments]
    newest, total = exact[-1], torch.stack(seen).sum(dim=0)
    pull = torch.stack([(weight - newest) @ moment for weight, moment in zip(exact, seen, strict=True)]).sum(dim=0)
    return newest + pull @ torch.linalg.pinv(total, hermitian=True, rtol=_LEAST)
