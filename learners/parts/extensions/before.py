"""What every kind shares that puts prompts before a request: the query, the room for them, and what travels along.

A request is read in one pass: prompts are chosen by a query of it, and put before its embeddings. Requests of one batch
may get different numbers of prompt tokens; shorter ones are padded in front and masked. Which positions are masked
travels with the request in its key-value cache.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from learners.parts.extensions import Extension, along
from learners.parts.rows import IGNORED, asked

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PreTrainedModel

__all__ = ["Before"]


class Before(Extension):
    """Puts prompts before a request; a kind says which."""

    routes = True

    def __init__(self) -> None:
        super().__init__()
        self._put = torch.empty(0, 0)

    @abstractmethod
    def prompts_for(self, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The prompts of each request, by its query (rows x width).

        Returns:
            Embeddings (rows x prompt tokens x width), and 1 where there is one, 0 where a row is padded in front.
        """

    def hook(self, model: PreTrainedModel) -> list[RemovableHandle]:
        """Put prompts in on the way in, and take their positions out on the way out."""
        return [
            model.register_forward_pre_hook(self._put_in, with_kwargs=True),
            model.register_forward_hook(self._take_out, with_kwargs=True),
        ]

    @abstractmethod
    def query(self, model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the choice goes by, one vector for each request (rows x width), without gradient.

        Args:
            model: the plain one, without prompts.
            ids, mask: rows x tokens.
        """

    def _put_in(self, model: Any, arguments: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        ids: torch.Tensor = kwargs.pop("input_ids") if "input_ids" in kwargs else arguments[0]
        past, mask = kwargs.get("past_key_values"), kwargs.get("attention_mask")
        if past is not None and past.get_seq_length():
            before = along.chosen(past)
            if mask is None:
                seen = past.get_seq_length() - before.shape[1] + ids.shape[1]
                mask = torch.ones(len(ids), seen, dtype=torch.long, device=ids.device)
            _make_room(kwargs, before, mask, ids.shape[1])
            return (), {**kwargs, "input_ids": ids}
        mask = torch.ones_like(ids) if mask is None else mask
        labels = kwargs.get("labels")
        told = self.heard(mask if labels is None else asked(labels, mask).to(mask))
        prompts, before = self.prompts_for(self.query(model, ids, told))
        self._put = before
        embedded = model.get_input_embeddings()(ids)
        _make_room(kwargs, before, mask, before.shape[1] + ids.shape[1])
        return (), {**kwargs, "inputs_embeds": torch.cat([prompts.to(embedded.dtype), embedded], dim=1)}

    def _take_out(self, model: Any, arguments: Any, kwargs: dict[str, Any], output: Any) -> Any:
        if "inputs_embeds" not in kwargs:
            return output
        if kwargs.get("fused_lm_head"):
            return _without(output, self._put.shape[1])
        if output.past_key_values is not None:
            along.send(output.past_key_values, self._put)
        kept = kwargs.get("logits_to_keep", 0)
        if not isinstance(kept, torch.Tensor) and kept == 0:
            output.logits = output.logits[:, self._put.shape[1] :]
        return output


def _make_room(kwargs: dict[str, Any], before: torch.Tensor, mask: torch.Tensor, entering: int) -> None:
    """Count the prompts wherever positions are counted; `entering` of them go through the model now."""
    extended = torch.cat([before.to(mask), mask], dim=1)
    kwargs["attention_mask"] = extended
    kwargs["position_ids"] = (extended.cumsum(dim=1) - 1).clamp(min=0)[:, -entering:]
    kept, labels, count = kwargs.get("logits_to_keep", 0), kwargs.get("labels"), before.shape[1]
    if isinstance(kept, torch.Tensor):
        kwargs["logits_to_keep"] = kept + count
    if labels is not None:
        kwargs["labels"] = torch.cat([torch.full_like(before, IGNORED, dtype=labels.dtype), labels], dim=1)


def _without(output: Any, count: int) -> Any:
    """What trl's fused head, which has no logits and no cache, says of all tokens (rows x tokens) but the first."""
    for name, value in list(output.items()):
        if value.dim() == 2:
            output[name] = value[:, count:]
    return output
