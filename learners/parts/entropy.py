"""How sure a model is of what it says: the entropy of its predictions, as a score of rows and as a term of the loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from learners.parts.likelihood import predicted
from learners.parts.rows import Row, batch_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Form", "OutputEntropy", "mean_entropy"]

Form = Literal["entropy", "smoothing"]


def mean_entropy(model: PreTrainedModel, row: Row) -> float:
    """Mean entropy of the predictions of a row's labelled tokens, in nats."""
    import torch

    with torch.no_grad():
        log_p = predicted(model, batch_of([row], model.device)).log_softmax(-1)
    return float(-(log_p.exp() * log_p).sum(-1).mean())


class OutputEntropy:
    """weight * the mean distance of the predictions of labelled tokens from the uniform distribution U.

    Args:
        weight: lambda.
        form: `entropy` is KL(p || U) = log V - H(p), `smoothing` KL(U || p), which is label smoothing.
    """

    def __init__(self, weight: float, form: Form) -> None:
        self._weight, self._form = weight, form

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The term for one step's rows."""
        return self._weight * self.distance(predicted(model, step.new))

    def distance(self, logits: torch.Tensor) -> torch.Tensor:
        """Mean distance from uniform of predictions: tokens x vocabulary -> scalar, in nats."""
        log_p = logits.float().log_softmax(-1)
        vocabulary = math.log(logits.shape[-1])
        if self._form == "entropy":
            return ((log_p.exp() * log_p).sum(-1) + vocabulary).mean()
        return (-log_p.mean(-1) - vocabulary).mean()
