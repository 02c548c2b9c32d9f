"""Keys in groups of dimensions: a request gets the slots whose keys are most like it, weighed by how alike they are.

Query and keys are cut into groups, each of length 1; likeness is the mean cosine of the groups, the k best slots of
all versions are taken, and their weights are their likenesses over the sum of these. Keys learn before the slots do,
and are then left alone. Some keys have no slot: where one of those is most like a request, no slot answers it. Peng et
al. 2024, Scalable Language Model with Generalized Continual Learning (arXiv:2404.07470), who have none of the latter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from learners.parts.extensions.routers import Router
from learners.parts.extensions.routers.queries import largest_embedding

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Chooser"]

_LEFT_OUT = 0.25  # of the keys, in a step: others come forward, and not all requests go to the same slots
_KEY_RATE = 1e-2


class Chooser(Router):
    """The keys.

    Args:
        width: of the model.
        slots: how many each version brought; each has a key.
        groups: of dimensions.
        chosen: slots for one request.
        below: keys without a slot, for what the model below answers.
    """

    kind = "grouped_keys"

    def __init__(self, width: int, slots: list[int], *, groups: int, chosen: int, below: int = 0) -> None:
        super().__init__()
        self._groups, self._chosen = groups, chosen
        self.keys = nn.ParameterList([torch.zeros(count, width) for count in slots])
        self.below = nn.ParameterList([torch.zeros(below, width)] if below else [])

    def configuration(self) -> dict[str, Any]:
        """Groups, slots for one request, and keys without a slot."""
        return {"groups": self._groups, "chosen": self._chosen, "below": sum(map(len, self.below))}

    def learn_keys(self, queries: Tensor, count: int, *, steps: int, seed: int) -> None:
        """Add `count` keys, drawn to the queries of a task (requests x width) by their mean likeness to the k nearest.

        Every step leaves a quarter of the keys out.
        """
        self.keys.append(self._drawn(queries, count, steps, seed))

    def learn_below(self, queries: Tensor, count: int, *, steps: int, seed: int) -> None:
        """Draw `count` keys without a slot to the queries of what the model below answers, in place of earlier ones."""
        self.below = nn.ParameterList([self._drawn(queries, count, steps, seed)])

    def _drawn(self, queries: Tensor, count: int, steps: int, seed: int) -> nn.Parameter:
        draw = torch.Generator().manual_seed(seed)
        keys = nn.Parameter(nn.init.orthogonal_(torch.empty(count, queries.shape[1]), generator=draw))
        queries = queries.detach().cpu().float()
        optimizer = torch.optim.AdamW([keys], lr=_KEY_RATE, weight_decay=0.01)
        for _ in range(steps):
            left_out = torch.rand(count, generator=draw) < _LEFT_OUT
            cosines = self._cosines(queries, keys).masked_fill(left_out, -1.0)
            optimizer.zero_grad()
            (-cosines.topk(min(self._chosen, count), dim=-1).values.mean()).backward()
            optimizer.step()
        return nn.Parameter(keys.detach(), requires_grad=False)

    def query(self, model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
        """The largest embeddings, see `queries`."""
        return largest_embedding(model, ids, prompt)

    def weights(self, query: Tensor, first: int = 0) -> Tensor:
        """The k most alike of the slots from `first` on; weights sum to 1, or are all 0 where none is alike at all.

        They are 0 too, while nothing learns, where a key without a slot is more alike than any other.
        """
        keys = torch.cat(list(self.keys))[first:]
        best = self._cosines(query, keys.to(query.device).float()).topk(min(self._chosen, len(keys)), dim=-1)
        likeness = best.values.clamp(min=0)
        shares = likeness / likeness.sum(dim=-1, keepdim=True).clamp(min=1e-9)
        if len(self.below) and not self.training:
            below = self._cosines(query, torch.cat(list(self.below)).to(query.device).float())
            shares = shares * (best.values[:, :1] >= below.amax(dim=-1, keepdim=True))
        return torch.zeros(len(query), len(keys), device=query.device).scatter(1, best.indices, shares)

    def _cosines(self, query: Tensor, keys: Tensor) -> Tensor:
        return self._unit(query) @ self._unit(keys).T / self._groups

    def _unit(self, vectors: Tensor) -> Tensor:
        return torch.cat([normalize(part, dim=-1) for part in vectors.tensor_split(self._groups, dim=-1)], dim=-1)
