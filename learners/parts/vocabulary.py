"""A larger vocabulary: which words of new texts deserve a token of their own, and where its vectors start.

Owns the growth of a tokenizer and of the embedding matrix with it. A word that is frequent in the new texts and falls
into many pieces becomes one token, whose vectors start as the mean of the pieces it was made of, so that the model
reads it nearly as before: Hewitt 2021, Initializing New Word Embeddings for Pretrained Language Models. Cossu et al.
2022 (arXiv:2205.09357) let their vocabulary grow from stage to stage.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["grow", "grown", "words_to_add"]

_WORD = re.compile(r"\w{2,}")


def words_to_add(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, *, most: int, fewest_pieces: int, fewest_times: int
) -> dict[str, list[int]]:
    """Words worth a token, with the space before them, each with the pieces that the tokenizer makes of it now.

    The word whose token saves most comes first.

    Args:
        most: at most so many words.
        fewest_pieces: words of fewer pieces are well served already.
        fewest_times: rarer words are not worth two rows of weights.
    """
    counts = Counter(word for text in texts for word in _WORD.findall(text))
    saved: dict[str, int] = {}
    pieces: dict[str, list[int]] = {}
    for word, count in counts.items():
        if count < fewest_times:
            continue
        token = f" {word}"
        ids = list(tokenizer(token, add_special_tokens=False)["input_ids"])  # pyright: ignore[reportArgumentType]
        if len(ids) >= fewest_pieces:
            saved[token], pieces[token] = count * (len(ids) - 1), ids
    best = sorted(saved, key=lambda token: (-saved[token], token))[:most]
    return {token: pieces[token] for token in best}


def grown(tokenizer: PreTrainedTokenizerBase, tokens: Iterable[str]) -> PreTrainedTokenizerBase:
    """A copy of the tokenizer that also knows these tokens, as words and as beginnings of longer words."""
    from transformers import AddedToken

    larger = copy.deepcopy(tokenizer)
    larger.add_tokens([AddedToken(token, normalized=False) for token in tokens])
    return larger


def grow(model: PreTrainedModel, size: int, pieces: Mapping[int, Sequence[int]]) -> None:
    """Give the model rows for the new tokens.

    Args:
        model: plain; its input and output embeddings grow in place.
        size: of the new vocabulary.
        pieces: new token -> the tokens whose mean its vectors start as.
    """
    import torch

    if size > model.get_input_embeddings().weight.shape[0]:  # pyright: ignore
        model.resize_token_embeddings(size, mean_resizing=False)
    layers: list[Any] = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for matrix in {id(layer.weight): layer.weight for layer in layers if layer is not None}.values():
            for token, parts in pieces.items():
                matrix[token] = matrix[list(parts)].mean(dim=0)
