"""From prompts to tokens and back, for engines that hold the tokenizer of the model they ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from transformers import GenerationConfig, PreTrainedTokenizerBase

from monitors.engines import Continuation, Prompt
from monitors.engines.batching import Tokens

__all__ = ["Encoder"]

_BORDER = "<|endoftext|>"
"""Stands before and behind a document in training, where the vocabulary has it."""


class Encoder:
    """One model's tokenizer, as engines use it.

    Args:
        tokenizer: without a chat template, the turns of a chat are set one a line.
        generation: the model's own, whose end-of-sequence tokens end an answer beside the tokenizer's and beside the
            token that stands between documents, with which what was learned as plain text ends.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, generation: GenerationConfig | None) -> None:
        self._tokenizer: Any = tokenizer
        configured: Any = generation.eos_token_id if generation is not None else None
        listed: list[Any] = configured if isinstance(configured, list) else [configured]
        border = self._tokenizer.get_vocab().get(_BORDER)
        ends = (int(token) for token in [self._tokenizer.eos_token_id, *listed, border] if token is not None)
        self.ends = tuple(dict.fromkeys(ends))
        self._document_start = self.ends[0] if border is None else int(border)

    def prompt(self, prompt: Prompt) -> Tokens:
        """Tokens of a prompt; plain text stands after the model's begin-of-document token."""
        if prompt.tokens:
            return prompt.tokens
        if not prompt.turns:
            return (self._document_start, *self.continuation(prompt.text))
        if not self._tokenizer.chat_template:
            return self.continuation("".join(turn.content + "\n" for turn in prompt.turns))
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt.turns]
        return self.continuation(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def continuation(self, continuation: Continuation) -> Tokens:
        """Tokens of what follows a prompt: no special token is added."""
        if isinstance(continuation, tuple):
            return continuation
        return tuple(cast(list[int], self._tokenizer(continuation, add_special_tokens=False)["input_ids"]))

    def text(self, tokens: Sequence[int]) -> str:
        """Generated text, special tokens left out."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))
