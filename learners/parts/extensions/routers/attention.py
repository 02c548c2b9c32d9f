"""Instance attention: a query network and one key a slot; all slots answer, weighed by a softmax.

q = norm(silu(U V m)) of the largest embeddings m of a prompt, and w = softmax(K q / (temperature * sqrt(width))). The
network is shared by all versions and goes on learning; a key learns with its slot and never again. One more key has no
slot: where a softmax over all keys gives it more than the others together, the model below answers. Zhao et al. 2024
(arXiv:2401.08295), whose temperature is 1, and who have no such key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from learners.parts.extensions.routers import Router
from learners.parts.extensions.routers.queries import largest_embedding

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Chooser"]


class Chooser(Router):
    """The network and the keys.

    Args:
        width: of the model.
        slots: how many each version brought.
        hidden: width inside the network.
        temperature: of the softmax; smaller ones part the slots more clearly.
        below: whether there is a key for the model below; it is where there was anything to learn this from.
    """

    kind = "attention"

    def __init__(self, width: int, slots: list[int], *, hidden: int, temperature: float, below: bool = False) -> None:
        super().__init__()
        self._hidden, self._temperature = hidden, temperature
        self.inward = nn.Linear(width, hidden, bias=False)
        self.outward = nn.Linear(hidden, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.keys = nn.ParameterList([torch.zeros(count, width) for count in slots])
        self.below = nn.ParameterList([torch.zeros(1, width)] * below)

    def configuration(self) -> dict[str, Any]:
        """Width inside the network, temperature, and whether the model below has a key."""
        return {"hidden": self._hidden, "temperature": self._temperature, "below": bool(len(self.below))}

    def add_key(self, *, seed: int, below: bool = False) -> None:
        """Add the key of a new slot, uniform in [-1, 1); it learns, and so does the network.

        Args:
            below: whether there are prompts for the model below, whose key is then added too, or learns on.
        """
        draw = torch.Generator().manual_seed(seed)
        for module in (self.inward, self.outward, self.norm):
            module.requires_grad_(True)
        self.keys.append(self._key(draw))
        if below and not len(self.below):
            self.below.append(self._key(draw))
        self.below.requires_grad_(below)

    def _key(self, draw: torch.Generator) -> nn.Parameter:
        at = self.inward.weight
        return nn.Parameter((torch.rand(1, at.shape[1], generator=draw) * 2 - 1).to(at))

    def query(self, model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
        """The largest embeddings, see `queries`; the network is applied in `weights`."""
        return largest_embedding(model, ids, prompt)

    def weights(self, query: Tensor, first: int = 0) -> Tensor:
        """`mixture`; while nothing learns, 0 where the model below has more than all slots together."""
        found = self.mixture(query, first)
        return found if self.training or not len(self.below) else found * (self.left(query) <= 0.5)[:, None]

    def mixture(self, query: Tensor, first: int = 0) -> Tensor:
        """A softmax over the slots from `first` on (requests x slots)."""
        return self._likeness(query, torch.cat(list(self.keys))[first:]).softmax(dim=-1)

    def left(self, query: Tensor) -> Tensor:
        """What the model below has of a softmax over all slots and itself, of each request (requests,)."""
        return self._likeness(query, torch.cat([*self.keys, *self.below])).softmax(dim=-1)[:, -1]

    def _likeness(self, query: Tensor, keys: Tensor) -> Tensor:
        inner = self.outward(self.inward(query.to(self.inward.weight.dtype)))
        logits = self.norm(nn.functional.silu(inner)) @ keys.T
        return logits.float() / (self._temperature * query.shape[-1] ** 0.5)
