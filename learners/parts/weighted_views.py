"""A loss of several views: the same record learned in different forms, each form with its weight.

A batch holds rows of several views side by side; which view a row is, its tokens tell, so nothing but token ids has to
pass through the trainer, and resuming needs to know nothing of views. The loss is no mean over the batch's tokens, so
several processes read the whole batch together (`Recipe.whole`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from learners.parts.likelihood import nats_of
from learners.parts.rows import Row, learned

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["ViewLikelihood"]


class ViewLikelihood:
    """sum_v weight_v * L_v / sum_v weight_v over the views v in a batch.

    L_v is the mean negative log-likelihood of the labelled tokens of its rows. A batch of one view alone has that mean.

    Args:
        views: each row's view.
        weights: of each view, positive.
    """

    def __init__(self, views: Iterable[tuple[str, Row]], weights: Mapping[str, float]) -> None:
        self._views = {tuple(row["input_ids"]): view for view, row in views}
        self._weights = weights

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of one step's rows."""
        import torch

        rows = step.new
        nats, counted = nats_of(model, rows), learned(rows)
        views = [self._view(ids, mask) for ids, mask in zip(rows["input_ids"], rows["attention_mask"], strict=True)]
        total, weight = torch.zeros((), device=nats.device), 0.0
        for view in dict.fromkeys(views):
            own = torch.tensor([one == view for one in views], device=nats.device)
            total = total + self._weights[view] * nats[own].sum() / counted[own].sum()
            weight += self._weights[view]
        return total / weight

    def _view(self, ids: torch.Tensor, mask: torch.Tensor) -> str:
        return self._views[tuple(ids[mask.bool()].tolist())]
