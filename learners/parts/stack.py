"""A stack of LoRA adapters: the parent's frozen, a new one beside it that learns, and one adapter of both in the end.

Owns the second adapter of a model in training, the overlap of its subspace with what was learned before, and the exact
concatenation [A_old; A_new], [B_old, B_new], which any engine serves as a single adapter. The rows of a concatenated A
lie in the order in which they were learned, so a next stage needs to know nothing else: all of the parent is old.
Wang et al. 2023, O-LoRA (arXiv:2310.14152).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer

if TYPE_CHECKING:
    from learners.methods.contract import Step

__all__ = ["Overlap", "Size", "concatenated", "is_stacked", "rank", "stacked"]

_OLD, _NEW = "default", "new"


def rank(model: PeftModel) -> int:
    """Rank of the model's saved adapter."""
    return int(_config(model, _OLD).r)


def is_stacked(model: Any) -> bool:
    """Whether a new adapter learns beside the parent's."""
    return isinstance(model, PeftModel) and _NEW in model.peft_config


def stacked(model: PeftModel, *, rank: int, alpha: int, seed: int) -> PeftModel:
    """Freeze the adapter of a model and add a new one on the same layers, which changes nothing until it is trained."""
    torch.manual_seed(seed)
    targets = sorted(_config(model, _OLD).target_modules)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM")
    model.add_adapter(_NEW, config)
    tuner: Any = model.base_model
    tuner.set_adapter([_OLD, _NEW])
    tuner.set_requires_grad(_OLD, requires_grad=False)  # peft trains every adapter that is active
    return model


def concatenated(model: PeftModel) -> PeftModel:
    """Make one adapter of both; its output is theirs summed, and the old factors stay what they are, bit for bit."""
    old, new = _config(model, _OLD), _config(model, _NEW)
    scale, ratio = old.lora_alpha / old.r, new.lora_alpha * old.r / (new.r * old.lora_alpha)
    total = old.r + new.r
    with torch.no_grad():
        for layer in _layers(model):
            ours, theirs = layer.lora_B[_OLD].weight, layer.lora_B[_NEW].weight * ratio
            _set(layer.lora_A, torch.cat([layer.lora_A[_OLD].weight, layer.lora_A[_NEW].weight]))
            _set(layer.lora_B, torch.cat([ours, theirs], dim=1))
            layer.r[_OLD], layer.lora_alpha[_OLD] = total, scale * total
    old.r, old.lora_alpha = total, int(scale * total) if (scale * total).is_integer() else scale * total
    model.set_adapter(_OLD)
    model.delete_adapter(_NEW)
    return model


class Overlap:
    """weight * sum over layers of the entries of |A_old A_new^T|, or of their squares, in float32.

    Rows of A span what a task's gradients reached, so rows that are orthogonal to all earlier ones leave those alone.
    The released code sums absolute values, the paper writes squares.
    """

    def __init__(self, model: PeftModel, weight: float, *, squared: bool = False) -> None:
        self._weight, self._squared = weight, squared
        self._pairs = [
            (layer.lora_A[_OLD].weight.detach().float(), layer.lora_A[_NEW].weight) for layer in _layers(model)
        ]

    def __call__(self, model: Any, step: Step) -> torch.Tensor:
        """The penalty at the model's present weights."""
        products = [old @ new.float().T for old, new in self._pairs]
        entries = [(product.square() if self._squared else product.abs()).sum() for product in products]
        return torch.stack(entries).sum() * self._weight


class Size:
    """weight * sum of the Euclidean norms of all matrices that learn, in float32; lambda_2 of the paper."""

    def __init__(self, weight: float) -> None:
        self._weight = weight

    def __call__(self, model: Any, step: Step) -> torch.Tensor:
        """The penalty at the model's present weights; a matrix that is 0 has no gradient."""
        norms = [weight.float().norm() for weight in model.parameters() if weight.requires_grad]
        return torch.stack(norms).sum() * self._weight


def _config(model: PeftModel, name: str) -> Any:
    return model.peft_config[name]


def _layers(model: PeftModel) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]


def _set(factors: Any, weight: torch.Tensor) -> None:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = torch.nn.Parameter(weight)
    factors[_OLD] = layer
