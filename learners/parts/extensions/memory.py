"""A memory of passages beside a frozen model: layers read in it, and it can be pulled out and another one plugged in.

Every passage is one entry: the attentive mean of its word embeddings, from which each reading layer makes a key and a
value of its own. After such a layer every token asks with its hidden state for the k entries of the most similar keys
(by cosine) and reads them by attention of several heads; what it read is added through a projection that starts at 0.

    h + W_o concat over heads i of softmax_j(q_i . k_ij / sqrt(d) + beta_i cos_j) . v_ij

Cheng et al. 2023, Decouple Knowledge from Parameters for Plug-and-play Language Modeling (PlugLM, arXiv:2305.11564).
There one query is pooled over a sequence that is read whole; a model that goes from left to right asks anew with each
token, so that no token knows what follows it and a key-value cache stays what it is. Keys are computed whenever the
readers change instead of every 200 steps. An empty memory, like an untrained one, is the model below, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from learners.parts.extensions import Extension

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["Kind"]

_NOTHING = -1  # pads a passage


class _Reader(nn.Module):
    """What one layer asks with, and what it makes of entries."""

    def __init__(self, width: int, key_width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.norm = nn.RMSNorm(width)
        self.query = nn.Linear(width, key_width, bias=False)
        self.key = nn.Linear(width, key_width, bias=False)
        self.asks, self.names, self.values, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.likeness = nn.Parameter(torch.ones(heads))
        nn.init.zeros_(self.out.weight)

    def nearest(self, hidden: Tensor, entries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Cosines and numbers of the entries that each token gets, the most similar first: both (..., count)."""
        cosines = normalize(self.query(self.norm(hidden)), dim=-1) @ normalize(self.key(entries), dim=-1).T
        best = cosines.topk(min(count, len(entries)), dim=-1)
        return best.values, best.indices

    def forward(self, hidden: Tensor, entries: Tensor, count: int) -> Tensor:
        """What is added to `hidden` (rows x tokens x width) of `entries` (entries x width)."""
        cosines, at = self.nearest(hidden, entries, count)
        asks = self._split(self.asks(self.norm(hidden)))
        names, values = self._split(self.names(entries))[at], self._split(self.values(entries))[at]
        scores = torch.einsum("bthd,btkhd->bthk", asks, names) / asks.shape[-1] ** 0.5
        scores = scores + self.likeness[:, None] * cosines[..., None, :]
        read = torch.einsum("bthk,btkhd->bthd", scores.softmax(dim=-1), values)
        return self.out(read.flatten(-2))

    def _split(self, vectors: Tensor) -> Tensor:
        return vectors.unflatten(-1, (self._heads, -1))


class Kind(Extension):
    """Passages and their readers.

    Args:
        config: of the model.
        layers: numbers of the layers that read, ascending.
        neighbours: entries that a token reads.
        key_width: of queries and keys.
        passages: how many there are, and how many tokens the longest has.
    """

    kind = "memory"

    def __init__(
        self, config: PretrainedConfig, *, layers: list[int], neighbours: int, key_width: int, passages: list[int]
    ) -> None:
        super().__init__()
        self._layers, self._neighbours, self._key_width = layers, neighbours, key_width
        width, heads = int(config.hidden_size), int(config.num_attention_heads)
        self.pool = nn.Linear(width, 1, bias=False)
        self.readers = nn.ModuleList([_Reader(width, key_width, heads) for _ in layers])
        self.passages: Tensor
        self.register_buffer("passages", torch.full(tuple(passages), _NOTHING))
        self._entries: Tensor | None = None

    def configuration(self) -> dict[str, Any]:
        """Layers and sizes."""
        return {
            "layers": self._layers,
            "neighbours": self._neighbours,
            "key_width": self._key_width,
            "passages": list(self.passages.shape),
        }

    def plug(self, passages: Sequence[Sequence[int]]) -> None:
        """Put these passages (token numbers) in the place of all others; none empties the memory."""
        width = max(map(len, passages), default=0)
        padded = [[*passage, *[_NOTHING] * (width - len(passage))] for passage in passages]
        self.passages = torch.tensor(padded, dtype=torch.long, device=self.passages.device).reshape(len(padded), width)
        self._entries = None

    def plugged(self) -> list[list[int]]:
        """The passages that are in it."""
        return [[token for token in passage if token != _NOTHING] for passage in self.passages.tolist()]

    def forget(self, texts: Sequence[Sequence[int]]) -> None:
        """Pull out the passages that stand in one of these texts."""
        self.plug([passage for passage in self.plugged() if not any(_stands_in(passage, text) for text in texts)])

    def hook(self, model: PreTrainedModel) -> list[RemovableHandle]:
        """Make entries of the passages on the way in, and read them behind the layers."""
        decoder: Any = model.get_decoder()
        reads = [
            decoder.layers[layer].register_forward_hook(self._reading(reader))
            for layer, reader in zip(self._layers, self.readers, strict=True)
        ]
        embedding = model.get_input_embeddings()
        return [decoder.register_forward_pre_hook(lambda *_: self._enter(embedding)), *reads]

    def entries(self, embedding: nn.Module) -> Tensor:
        """The passages as vectors (entries x width), by the embedding of the model's words."""
        words = embedding(self.passages.clamp(min=0))
        scores = self.pool(words).squeeze(-1).masked_fill(self.passages == _NOTHING, float("-inf"))
        return (scores.softmax(dim=-1)[..., None] * words).sum(dim=1)

    def _enter(self, embedding: nn.Module) -> None:
        learns = torch.is_grad_enabled() and self.pool.weight.requires_grad
        if len(self.passages) and (learns or self._entries is None or self._entries.requires_grad):
            self._entries = self.entries(embedding)

    def _reading(self, reader: nn.Module) -> Callable[[Any, Any, Any], Any]:
        def add(module: Any, arguments: Any, output: Any) -> Any:
            if not len(self.passages):
                return None
            hidden = output[0] if isinstance(output, tuple) else output
            read = hidden + reader(hidden, self._entries, self._neighbours).to(hidden.dtype)
            return (read, *output[1:]) if isinstance(output, tuple) else read

        return add


def _stands_in(passage: Sequence[int], text: Sequence[int]) -> bool:
    length = len(passage)
    return any(list(text[start : start + length]) == passage for start in range(len(text) - length + 1))
