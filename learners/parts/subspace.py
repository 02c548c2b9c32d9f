"""Orthogonal subspace fine-tuning: the large singular directions of every weight matrix are kept, the small ones learn.

Owns the factors of peft's OSF in training, and the projection that keeps them orthogonal to what is kept: peft projects
gradients, but Adam scales every entry of a step by itself, and the step leaves the subspace again. So the factors are
projected once more behind every step. Nayak et al. 2025, Sculpting Subspaces (arXiv:2504.07097).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from peft import OSFConfig, get_peft_model
from peft.tuners.osf import OSFLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from learners.methods.contract import Moment

__all__ = ["project", "split"]

_NAME = "default"


def split(model: PreTrainedModel, kept_share: float) -> PreTrainedModel:
    """Split every linear layer of a plain model by its singular values; the small ones' factors learn.

    Args:
        kept_share: of each matrix's singular directions, the largest first, that stay as they are.
    """
    config = OSFConfig(effective_rank=kept_share, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, config)  # pyright: ignore


def project(model: Any, moment: Moment) -> None:
    """Take out of the learning factors what lies along the kept directions; for `Recipe.after_step`."""
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, OSFLayer):
                factors: Any = layer.osf_svd_params[_NAME]
                factors["U_low"].copy_(_outside(factors["U_low"], *_left(layer)))
                factors["V_low"].copy_(_outside(factors["V_low"].T, *_right(layer)).T)


def _left(layer: Any) -> tuple[torch.Tensor, bool]:
    """A basis of columns, and whether it spans what is kept (else its complement, where peft stores only that)."""
    stored = layer._osf_U_high
    return (stored[_NAME], True) if _NAME in stored else (layer._osf_U_low_init[_NAME], False)


def _right(layer: Any) -> tuple[torch.Tensor, bool]:
    stored = layer._osf_V_high
    return (stored[_NAME].T, True) if _NAME in stored else (layer._osf_V_low_init[_NAME].T, False)


def _outside(columns: torch.Tensor, basis: torch.Tensor, kept: bool) -> torch.Tensor:
    along = basis @ (basis.T @ columns)
    return columns - along if kept else along
