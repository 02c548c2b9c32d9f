"""A learned selector: a linear layer on the last hidden state of a prompt names the slot that answers it.

Its classes are the slots, and one for what the model below answers by itself. It is fitted again, from stored states,
whenever a slot is added. Song et al. 2023, ConPET (arXiv:2309.14763).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from learners.parts.extensions.routers import Router
from learners.parts.extensions.routers.queries import last_state

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Chooser"]

_STEPS, _RATE, _DECAY = 300, 1e-2, 1e-2


class Chooser(Router):
    """The layer, and the scale of what it reads.

    Args:
        width: of the model.
        slots: how many each version brought.
        below: whether the model below is one of the choices; it is where there was anything to learn this from.
    """

    kind = "selector"

    def __init__(self, width: int, slots: list[int], *, below: bool) -> None:
        super().__init__()
        self._below = below
        self.choice = nn.Linear(width, 1 + sum(slots))
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))

    def configuration(self) -> dict[str, Any]:
        """Whether the model below can be chosen."""
        return {"below": self._below}

    def fit(self, states: Sequence[Tensor]) -> None:
        """Learn to tell the classes apart: cross-entropy, every class of equal weight, from a layer of zeros.

        Args:
            states: of each class some (some x width), the model below first; it may have none.
        """
        device = self.centre.device
        inputs = torch.cat(list(states)).detach().cpu().float()
        labels = torch.repeat_interleave(torch.tensor([len(own) for own in states]))
        spread, centre = torch.std_mean(inputs, dim=0, correction=0)
        layer = nn.Linear(inputs.shape[1], len(states))
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        scaled = (inputs - centre) / (spread + 1e-6)
        balance = torch.tensor([1 / max(1, len(own)) for own in states])
        optimizer = torch.optim.AdamW(layer.parameters(), lr=_RATE, weight_decay=_DECAY)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            nn.functional.cross_entropy(layer(scaled), labels, weight=balance).backward()
            optimizer.step()
        self._below = len(states[0]) > 0
        self.choice = layer.requires_grad_(False).to(device)
        self.centre, self.spread = centre.to(device), (spread + 1e-6).to(device)

    def query(self, model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
        """The last hidden state, see `queries`."""
        return last_state(model, ids, prompt)

    def weights(self, query: Tensor, first: int = 0) -> Tensor:
        """1 for the likeliest slot, 0 for all others."""
        scaled = (query - self.centre) / self.spread
        logits = self.choice(scaled.to(self.choice.weight.dtype))
        likeliest = logits.argmax(dim=-1) if self._below else logits[:, 1:].argmax(dim=-1) + 1
        return nn.functional.one_hot(likeliest, logits.shape[-1])[:, 1 + first :].float()
