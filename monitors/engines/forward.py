"""Forward passes over rows of tokens with a key-value cache: what likelihoods, generation and constraints share.

Owns padding, positions, masks and the cache of a model; never decides what to ask. A row begins with a prefix that
all rows share, then padding, then its own tokens. Padding is masked out and positions count real tokens only, so a
row's logits do not depend on its neighbours (but for the rounding of a differently shaped matrix product).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from learners.parts.extensions import attached
from monitors.engines.attention import use_grouped_steps

__all__ = ["Branches", "Forward", "Scored", "State", "Tokens"]

Tokens = Sequence[int]
PADDING = -1
PLACES_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Scored:
    """Log-probability of each of some tokens, in nats, and whether all of them are the likeliest."""

    each: tuple[float, ...]
    greedy: bool


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

    def keep(self, rows: Tensor) -> None:
        """Keep the rows with these indices only."""
        self.cache.batch_select_indices(rows)
        self.logits, self.mask, self.lengths = self.logits[rows], self.mask[rows], self.lengths[rows]


@dataclass(frozen=True, slots=True)
class Branches:
    """A prompt and the continuations that branch off at its end."""

    prompt: Tokens
    continuations: tuple[Tokens, ...]

    @property
    def width(self) -> int:
        """Tokens that are read after the prompt: nothing follows the last one of a continuation."""
        return sum(max(len(tokens) - 1, 0) for tokens in self.continuations)


class Forward:
    """A model's forward passes.

    Attributes:
        routes: the model looks at a whole prompt before it chooses how to answer it (`learners.parts.extensions`), so
            prompts share no beginning and one row has one continuation.
    """

    def __init__(self, model: PreTrainedModel, pad: int) -> None:
        use_grouped_steps(model)
        extension = attached(model)
        self.routes = extension is not None and extension.routes
        self._model: Any = model
        self._pad = pad
        self._device = model.device
        self._dtype = model.dtype

    def prefix(self, tokens: Tokens) -> DynamicCache:
        """Keys and values of a shared beginning, which may be empty."""
        cache = DynamicCache(config=self._model.config)
        if tokens:
            self._model(input_ids=self._tensor([tokens]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        return cache

    def start(self, rows: Sequence[Tokens], prefix: DynamicCache) -> State:
        """Read one prompt a row, each after the same prefix."""
        width = max(map(len, rows))
        ids = self._tensor([[self._pad] * (width - len(row)) + list(row) for row in rows])
        own = self._tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        shared, cache = prefix.get_seq_length(), _for_rows(prefix, len(rows))
        mask = torch.cat([own.new_ones(len(rows), shared), own], dim=1)
        positions = shared + (own.cumsum(1) - 1).clamp(min=0)
        logits = self._pass(ids, mask, positions, cache, keep=1)
        return State(logits[:, -1].float(), cache, mask, mask.sum(1))

    def step(self, state: State, tokens: Tensor) -> None:
        """Append one token to each row, in place. `tokens`: (rows,)."""
        state.mask = torch.cat([state.mask, state.mask.new_ones(len(tokens), 1)], dim=1)
        logits = self._pass(tokens[:, None], state.mask, state.lengths[:, None], state.cache, keep=1)
        state.logits = logits[:, -1].float()
        state.lengths = state.lengths + 1

    def branch(self, rows: Sequence[Branches], prefix: DynamicCache) -> list[list[Scored]]:
        """Log-probabilities of each continuation of each row, and whether it is greedy, in a single pass.

        A row is [padding | prompt | first continuation | second ... | padding]; each continuation sees the prefix, the
        prompt and itself, and its positions follow the prompt's. A model that routes reads the one continuation of each
        row in a second pass.
        """
        if self.routes:
            return self._after_prompts(rows, prefix)
        before, width = max(len(row.prompt) for row in rows), max(row.width for row in rows)
        laid = [_lay_out(row, before, width, self._pad) for row in rows]
        shared, cache = prefix.get_seq_length(), _for_rows(prefix, len(rows))
        mask = self._branch_mask(self._tensor([row.segments for row in laid]), shared)
        positions = shared + self._tensor([row.positions for row in laid])
        logits = self._pass(self._tensor([row.ids for row in laid]), mask, positions, cache, keep=width + 1)
        return self._gathered(logits, rows)

    def _after_prompts(self, rows: Sequence[Branches], prefix: DynamicCache) -> list[list[Scored]]:
        """`branch` in two passes, the first over prompts alone; a row has one continuation."""
        state = self.start([row.prompt for row in rows], prefix)
        logits, width = state.logits[:, None], max(row.width for row in rows)
        if width:
            after = [row.continuations[0][:-1] for row in rows]
            ids = self._tensor([[*tokens, *[self._pad] * (width - len(tokens))] for tokens in after])
            own = self._tensor([[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in after])
            positions = state.lengths[:, None] + torch.arange(width, device=self._device)
            mask = torch.cat([state.mask, own], dim=1)
            logits = torch.cat([logits, self._pass(ids, mask, positions, state.cache, keep=width).float()], dim=1)
        return self._gathered(logits, rows)

    def _branch_mask(self, segments: Tensor, shared: int) -> Tensor:
        """(rows, 1, tokens, shared + tokens), additive: 0 where a token (second last) sees another (last)."""
        sees, seen = segments[:, :, None], segments[:, None, :]
        count = segments.shape[1]
        earlier = torch.ones(count, count, dtype=torch.bool, device=self._device).tril()
        itself = torch.eye(count, dtype=torch.bool, device=self._device)
        allowed = (earlier & (seen != PADDING) & ((seen == 0) | (seen == sees))) | itself
        mask = torch.zeros(len(segments), 1, count, shared + count, dtype=self._dtype, device=self._device)
        return mask.masked_fill_(
            ~torch.nn.functional.pad(allowed, (shared, 0), value=True)[:, None], torch.finfo(self._dtype).min
        )

    def _gathered(self, logits: Tensor, rows: Sequence[Branches]) -> list[list[Scored]]:
        """Gather token log-probabilities; column 0 of `logits` is the prompt's last token, then the continuations'."""
        places: list[tuple[int, int, int]] = []
        for number, row in enumerate(rows):
            after = 1
            for tokens in row.continuations:
                columns = [0, *range(after, after + len(tokens) - 1)]
                places += [(number, column, token) for column, token in zip(columns, tokens, strict=False)]
                after += max(len(tokens) - 1, 0)
        scored = iter(_token_scores(logits, self._tensor(places)) if places else [])
        return [[_joined([next(scored) for _ in tokens]) for tokens in row.continuations] for row in rows]

    def _pass(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache, keep: int) -> Tensor:
        output = self._model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=keep,
        )  # fmt: skip
        return output.logits

    def _tensor(self, rows: Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor([list(row) for row in rows], device=self._device)


def _token_scores(logits: Tensor, places: Tensor) -> list[tuple[float, bool]]:
    """Score one token a place; `places` is (tokens, 3): row, column of `logits`, token. Some at a time: memory."""
    found: list[tuple[float, bool]] = []
    for part in places.split(PLACES_AT_ONCE):
        row, column, token = part.T
        at = logits[row, column].float()
        own = at.gather(1, token[:, None])[:, 0]
        found += zip((own - at.logsumexp(-1)).tolist(), (own == at.amax(-1)).tolist(), strict=True)
    return found


def _joined(tokens: Sequence[tuple[float, bool]]) -> Scored:
    return Scored(tuple(logprob for logprob, _ in tokens), all(greedy for _, greedy in tokens))


@dataclass(slots=True)
class _Laid:
    ids: list[int]
    segments: list[int]
    positions: list[int]


def _lay_out(row: Branches, before: int, width: int, pad: int) -> _Laid:
    """One row's columns; segment 0 is the prompt, then one for each continuation."""
    own = len(row.prompt)
    laid = _Laid([pad] * (before - own), [PADDING] * (before - own), [0] * (before - own))
    for segment, tokens in enumerate((row.prompt, *(tokens[:-1] for tokens in row.continuations))):
        first = 0 if segment == 0 else own
        laid.ids += tokens
        laid.segments += [segment] * len(tokens)
        laid.positions += range(first, first + len(tokens))
    rest = before + width - len(laid.ids)
    return _Laid(laid.ids + [pad] * rest, laid.segments + [PADDING] * rest, laid.positions + [0] * rest)


def _for_rows(prefix: DynamicCache, rows: int) -> DynamicCache:
    cache = copy.deepcopy(prefix)
    cache.batch_repeat_interleave(rows)
    return cache
