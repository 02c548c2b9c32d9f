"""trl's fused head, for a processor: what a model says of the tokens of answers, computed at these alone.

trl leaves out the places that no answer has only where Triton is; elsewhere it computes the predictions of every prompt
and of all padding, and all of them a second time for the gradient. The numbers are trl's. Called by the trainers of
judged answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import nll_loss, pad
from trl.trainer.utils import FusedCausalLMOutput

from learners.parts.likelihood import by_length, predicted, spread
from learners.parts.rows import learned

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Answering"]

_TOLD = ("log_probs", "entropy", "mean_logits", "is_top1")


class Answering:
    """A model as trl calls it with its fused head; several processes read its batch together.

    Args:
        model: that predicts.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def __call__(self, *, labels: torch.Tensor, fused_lm_head: bool, use_cache: bool = False, **inputs: Any) -> Any:
        """What is said of each token that has a label (rows x tokens - 1), 0 of the others.

        Args:
            labels, inputs: input_ids and attention_mask, each rows x tokens, padded on the right.
        """
        told = by_length(partial(_told, self._model, labels.shape[1] - 1), {**inputs, "labels": labels})
        found = dict(zip(_TOLD, told.unbind(dim=-1), strict=True))
        return FusedCausalLMOutput(**{**found, "is_top1": found["is_top1"].detach().bool()})


def _told(model: PreTrainedModel, width: int, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """What is told of every token of rows but the first (rows x width x numbers)."""
    said, targets = predicted(model, rows), rows["labels"][:, 1:][learned(rows)]
    known = said.log_softmax(dim=-1)
    own = -nll_loss(known, targets, reduction="none")
    with torch.no_grad():
        entropy = -(known.exp() * known).sum(dim=-1)
        beside = [entropy, said.mean(dim=-1), said.argmax(dim=-1) == targets]
    told = spread(torch.stack([own, *beside], dim=-1), rows)
    return pad(told, (0, 0, 0, width - told.shape[1]))
