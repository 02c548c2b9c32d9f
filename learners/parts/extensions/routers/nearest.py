"""The nearest stored example: a request is answered by the slot that learned from the prompt most like it.

A library holds some embedded prompts of every slot, and of what the model below can answer by itself; where one of
those is nearest, no slot answers. Embeddings are means of last hidden states and are compared by Euclidean distance:
those of a language model share one direction, which cosines are full of and distances free of. Jang et al. 2023,
Exploring the Benefits of Training Expert Language Models over Instruction Tuning (arXiv:2302.03202).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from learners.parts.extensions.routers import Router
from learners.parts.extensions.routers.queries import mean_state

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Chooser"]


class Chooser(Router):
    """The library.

    Args:
        width: of the model.
        slots: how many each version brought.
        examples: how many are those of the model below, of the first slot, of the second and so on.
    """

    kind = "nearest"

    def __init__(self, width: int, slots: list[int], *, examples: list[int]) -> None:
        super().__init__()
        self._counts = list(examples) or [0]
        self.examples: Tensor
        self.register_buffer("examples", torch.zeros(sum(self._counts), width))

    def configuration(self) -> dict[str, Any]:
        """How the examples are shared out."""
        return {"examples": self._counts}

    def add(self, examples: Tensor, below: Tensor) -> None:
        """Put the examples of a new slot (some x width) behind those of the others, which stay as they are.

        Args:
            examples: queries of what the slot learns from.
            below: queries of what the model below answers by itself; they take the place of those from before.
        """
        kept = self.examples[self._counts[0] :]
        self.examples = torch.cat([below.to(kept), kept, examples.to(kept)])
        self._counts = [len(below), *self._counts[1:], len(examples)]

    def query(self, model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
        """The mean of the last hidden states, see `queries`."""
        return mean_state(model, ids, prompt)

    def weights(self, query: Tensor, first: int = 0) -> Tensor:
        """1 for the slot with the nearest example, 0 for all others."""
        owners = torch.repeat_interleave(torch.tensor(self._counts)).to(query.device)
        nearest = torch.cdist(query, self.examples.to(query)).argmin(dim=-1)
        return torch.nn.functional.one_hot(owners[nearest], len(self._counts))[:, 1 + first :].float()
