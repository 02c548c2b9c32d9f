"""Forward passes over rows of tokens with a key-value cache: what likelihoods, generation and constraints share.

Owns padding, positions and the cache of a model; never decides what to ask. A row is [shared prefix | padding | own
tokens | continuation | padding]; padding is masked out and positions count real tokens only, so a row's logits do not
depend on its neighbours (but for the rounding of a differently shaped matrix product).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

__all__ = ["Forward", "State"]

Tokens = Sequence[int]


@dataclass(slots=True)
class State:
    """Rows in progress.

    Attributes:
        logits: (rows, vocabulary), of the token that follows each row.
        cache: keys and values so far.
        mask: (rows, tokens so far), 1 for real tokens.
        lengths: (rows,), how many real tokens each row has: the position of its next token.
    """

    logits: Tensor
    cache: DynamicCache
    mask: Tensor
    lengths: Tensor

    def select(self, rows: Tensor) -> State:
        """The rows with these indices, repeated where an index is."""
        cache = copy.deepcopy(self.cache)
        cache.batch_select_indices(rows)
        return State(self.logits[rows], cache, self.mask[rows], self.lengths[rows])


class Forward:
    """A model's forward passes."""

    def __init__(self, model: PreTrainedModel, pad: int) -> None:
        self._model: Any = model
        self._pad = pad
        self._device = model.device

    def prefix(self, tokens: Tokens) -> DynamicCache | None:
        """Keys and values of a shared beginning; None for an empty one."""
        if not tokens:
            return None
        cache = DynamicCache(config=self._model.config)
        self._model(input_ids=self._tensor([tokens]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        return cache

    def start(self, rows: Sequence[Tokens], prefix: DynamicCache | None = None) -> State:
        """Read one prompt a row, each after the same prefix."""
        shared = 0 if prefix is None else prefix.get_seq_length()
        width = max(map(len, rows))
        ids = self._tensor([[self._pad] * (width - len(row)) + list(row) for row in rows])
        own = self._tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        mask = torch.cat([own.new_ones(len(rows), shared), own], dim=1)
        cache = DynamicCache(config=self._model.config) if prefix is None else copy.deepcopy(prefix)
        if prefix is not None:
            cache.batch_repeat_interleave(len(rows))
        positions = shared + (own.cumsum(1) - 1).clamp(min=0)
        logits = self._pass(ids, mask, positions, cache, keep=1)
        return State(logits[:, -1], cache, mask, mask.sum(1))

    def step(self, state: State, tokens: Tensor) -> None:
        """Append one token to each row, in place. `tokens`: (rows,)."""
        state.mask = torch.cat([state.mask, state.mask.new_ones(len(tokens), 1)], dim=1)
        state.logits = self._pass(tokens[:, None], state.mask, state.lengths[:, None], state.cache, keep=1)[:, -1]
        state.lengths = state.lengths + 1

    def read_on(self, state: State, rows: Sequence[Tokens]) -> Tensor:
        """Logits (rows, longest, vocabulary) at each of the tokens that continue `state`'s rows; uses the state up."""
        width = max(map(len, rows))
        ids = self._tensor([list(row) + [self._pad] * (width - len(row)) for row in rows])
        own = self._tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        positions = state.lengths[:, None] + torch.arange(width, device=self._device)
        return self._pass(ids, torch.cat([state.mask, own], dim=1), positions, state.cache, keep=0)

    def _pass(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache, keep: int) -> Tensor:
        output = self._model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=keep,
        )  # fmt: skip
        return output.logits.float()

    def _tensor(self, rows: Sequence[Tokens]) -> Tensor:
        return torch.tensor([list(row) for row in rows], device=self._device)
