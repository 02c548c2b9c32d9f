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
from torch.nn.functional import pad
from trl.trainer.utils import FusedCausalLMOutput

from learners.parts.likelihood import by_length, said

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
    found = said(model, rows)
    targets = rows["labels"][:, 1:][:, found.places]
    with torch.no_grad():
        predicted = found.logits.log_softmax(dim=-1)
        entropy = -(predicted.exp() * predicted).sum(dim=-1)
        beside = torch.stack([entropy, found.logits.mean(dim=-1), found.logits.argmax(dim=-1) == targets], dim=-1)
        beside = beside * found.counted[:, found.places].unsqueeze(-1)
    whole = beside.new_zeros((*found.nats.shape, beside.shape[-1])).index_copy(1, found.places, beside)
    told = torch.cat([-found.nats.unsqueeze(-1), whole], dim=-1)
    return pad(told, (0, 0, 0, width - told.shape[1]))
