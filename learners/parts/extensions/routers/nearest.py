"""The nearest stored examples: a request is answered by the slot that learned from the prompts most like it.

A library holds some embedded prompts of every slot, and of what the model below can answer by itself; where that has
most votes, no slot answers. Merged, every slot answers by its share of the votes. Embeddings are means of last hidden
states and are compared by Euclidean distance: those of a language model share one direction, which cosines are full of
and distances free of. In the paper 32 requests of a task have a vote each, by their nearest example; here the nearest
examples of one request have one each, so that no answer depends on what else is asked. Jang et al. 2023,
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
        votes, merged: see below; version folders of earlier releases do not have them.

    Attributes:
        votes: examples that vote; 1 is the nearest alone.
        merged: whether all slots with a vote answer, weighed by their shares, instead of the one with most.
    """

    kind = "nearest"

    def __init__(
        self, width: int, slots: list[int], *, examples: list[int], votes: int = 1, merged: bool = False
    ) -> None:
        super().__init__()
        self.votes, self.merged = votes, merged
        self._counts = list(examples) or [0]
        self.examples: Tensor
        self.register_buffer("examples", torch.zeros(sum(self._counts), width))

    def configuration(self) -> dict[str, Any]:
        """How the examples are shared out, and how they vote."""
        return {"examples": self._counts, "votes": self.votes, "merged": self.merged}

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
        """The shares of the votes; or 1 for the slot with most of them, and 0 for all others.

        Of slots with as many votes the one with the nearer examples answers.
        """
        owners = torch.repeat_interleave(torch.tensor(self._counts)).to(query.device)
        distances = torch.cdist(query, self.examples.to(query))
        nearest = distances.topk(min(self.votes, len(owners)), dim=-1, largest=False).indices
        votes = torch.nn.functional.one_hot(owners[nearest], len(self._counts)).float()
        if self.merged:
            return votes.mean(dim=1)[:, 1 + first :]
        nearer = 1 + 0.5 ** torch.arange(1, votes.shape[1] + 1, device=query.device)  # less than a vote in all
        most = (votes * nearer[:, None]).sum(dim=1).argmax(dim=-1)
        return torch.nn.functional.one_hot(most, len(self._counts))[:, 1 + first :].float()
