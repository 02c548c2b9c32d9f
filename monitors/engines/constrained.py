"""Greedy decoding of text that is valid under a JSON schema, by the token masks of the library llguidance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from llguidance import LLMatcher
from llguidance.hf import from_tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from monitors.engines import EngineError
from monitors.engines.forward import Forward, State

__all__ = ["constrained", "guide_for"]


def guide_for(tokenizer: PreTrainedTokenizerBase, vocabulary: int, schema: Mapping[str, Any]) -> LLMatcher:
    """Compile a schema for a model.

    Args:
        vocabulary: width of the model's logits; tokenizers often know fewer tokens.
        schema: JSON schema of the whole answer.

    Raises:
        EngineError: the schema uses what llguidance does not know.
    """
    tokens: Any = from_tokenizer(tokenizer, n_vocab=vocabulary)  # pyright: ignore
    compact = json.dumps({**schema, "x-guidance": {"whitespace_flexible": False}})
    guide = LLMatcher(tokens, LLMatcher.grammar_from_json_schema(compact))
    if guide.is_error():
        raise EngineError(f"the answer's JSON schema cannot be enforced: {guide.get_error()}")
    return guide


def constrained(forward: Forward, state: State, guide: LLMatcher, max_new_tokens: int) -> list[int]:
    """Continue the one row of `state` with the likeliest tokens that keep the text valid.

    The answer is cut at `max_new_tokens` and may then be incomplete.
    """
    tokens: list[int] = []
    while not guide.is_stopped() and len(tokens) < max_new_tokens:
        allowed = _allowed(guide, state.logits)
        # An extension may add tokens of its own beyond the vocabulary; no text consists of them.
        token = int(state.logits[0, : len(allowed)].masked_fill(~allowed, float("-inf")).argmax())
        if not guide.consume_token(token):
            raise EngineError(f"the constraint refused a token that it had allowed: {guide.get_error()}")
        tokens.append(token)
        forward.step(state, torch.tensor([token], device=state.logits.device))
    return tokens


def _allowed(matcher: LLMatcher, logits: Tensor) -> Tensor:
    """(vocabulary,) booleans out of the matcher's bits, lowest first."""
    bits = torch.frombuffer(bytearray(matcher.compute_bitmask()), dtype=torch.uint8)
    places = torch.arange(8, dtype=torch.uint8)
    flags = (bits[:, None].bitwise_right_shift(places) & 1).flatten()[: logits.shape[-1]]
    return flags.bool().to(logits.device)
