"""Instance attention: a query network and one key a slot; all slots answer, weighed by a softmax.

q = norm(silu(U V m)) of the largest embeddings m of a prompt, and w = softmax(K q / (temperature * sqrt(width))). The
network is shared by all versions and goes on learning; a key learns with its slot and never again. Zhao et al. 2024
(arXiv:2401.08295), whose temperature is 1.
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
    """

    kind = "attention"

    def __init__(self, width: int, slots: list[int], *, hidden: int, temperature: float) -> None:
        super().__init__()
        self._hidden, self._temperature = hidden, temperature
        self.inward = nn.Linear(width, hidden, bias=False)
        self.outward = nn.Linear(hidden, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.keys = nn.ParameterList([torch.zeros(count, width) for count in slots])

    def configuration(self) -> dict[str, Any]:
        """Width inside the network, and temperature."""
        return {"hidden": self._hidden, "temperature": self._temperature}

    def add_key(self, *, seed: int) -> None:
        """Add the key of a new slot, uniform in [-1, 1); it learns, and so does the network."""
        draw = torch.Generator().manual_seed(seed)
        at = self.inward.weight
        key = torch.rand(1, at.shape[1], generator=draw) * 2 - 1
        for module in (self.inward, self.outward, self.norm):
            module.requires_grad_(True)
        self.keys.append(nn.Parameter(key.to(device=at.device, dtype=at.dtype)))

    def query(self, model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
        """The largest embeddings, see `queries`; the network is applied in `weights`."""
        return largest_embedding(model, ids, prompt)

    def weights(self, query: Tensor, first: int = 0) -> Tensor:
        """A softmax over the slots from `first` on."""
        inner = self.outward(self.inward(query.to(self.inward.weight.dtype)))
        keys = torch.cat(list(self.keys))[first:]
        logits = self.norm(nn.functional.silu(inner)) @ keys.T
        return (logits.float() / (self._temperature * query.shape[-1] ** 0.5)).softmax(dim=-1)
