"""Loss terms: what is added to a stage's loss.

Each is a callable (model, step) -> weighted scalar; see `learners.methods.contract.LossTerm`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from learners.parts.likelihood import nats_of, negative_log_likelihood
from learners.parts.rows import learned

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = [
    "AnchoredQuadratic", "RehearsalLikelihood", "equal_importance", "new_likelihood", "trainable_copy",
]  # fmt: skip


def new_likelihood(model: PreTrainedModel, step: Step) -> torch.Tensor:
    """The stage's loss of rows in the form that leaves labels to the caller.

    For a model with an extension that moves positions or widens the vocabulary, of which its own loss knows nothing.
    """
    return negative_log_likelihood(model, step.new)


def trainable_copy(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """A copy of every weight that will be trained, by name."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}


def equal_importance(anchor: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A one for every anchored weight, as a scalar per parameter: L2-SP."""
    import torch

    return {name: torch.ones(()) for name in anchor}


class AnchoredQuadratic:
    """(weight / 2) * sum_i importance_i * (theta_i - anchor_i)^2: EWC with a Fisher, L2-SP with ones.

    Args:
        importance: non-negative, by parameter name, each of its parameter's shape or broadcast to it.
        anchor: where the weights are pulled to, same names and shapes.
        weight: lambda.
    """

    def __init__(
        self, importance: Mapping[str, torch.Tensor], anchor: Mapping[str, torch.Tensor], weight: float
    ) -> None:
        self._importance = dict(importance)
        self._anchor = dict(anchor)
        self._weight = weight

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The penalty at the model's present weights."""
        import torch

        total = torch.zeros((), device=next(model.parameters()).device)
        for name, weight in model.named_parameters():
            if name in self._anchor:
                importance, anchor = (kept[name].to(weight.device) for kept in (self._importance, self._anchor))
                total = total + (importance * (weight - anchor).square()).sum()
        return total * (self._weight / 2)


class RehearsalLikelihood:
    """weight * mean negative log-likelihood of the rehearsed tokens, beside the stage's own loss.

    Several processes rehearse the same rows and read them together.
    """

    def __init__(self, weight: float) -> None:
        self._weight = weight

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The term for one step's rehearsed rows; 0 when the step has none."""
        import torch

        if step.rehearsal is None:
            return torch.zeros((), device=next(model.parameters()).device)
        return nats_of(model, step.rehearsal).sum() / learned(step.rehearsal).sum() * self._weight
