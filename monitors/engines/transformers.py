"""The embedded engine: transformers on this machine's CPU or GPU.

Owns tokenisation and batching of requests; weights come from `monitors.engines.residents`. What is computed once: the
beginning that many prompts share (a system turn), and a prompt that several continuations share (the choices of a
probe). Generation is greedy and ends a row at the model's end-of-sequence token.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from learners.parts.extensions import attached
from monitors.engines import Continuation, Likelihood, OpenEngine, Prompt, before_stop
from monitors.engines.batching import Family, Job, Tokens, batches, families
from monitors.engines.constrained import constrained, guide_for
from monitors.engines.encoding import Encoder
from monitors.engines.forward import Branches, Forward, State
from monitors.engines.residents import Residents
from monitors.job import EngineSettings, VersionRef

__all__ = ["TransformersEngine", "engines"]

CACHED_BATCHES = 8
"""Generation keeps this many times `batch_tokens` tokens in its cache: a step reads the weights once for all rows."""


def engines(settings: EngineSettings) -> OpenEngine:
    """Open versions in turn, with one base model in memory for all adapters over it."""
    residents = Residents(settings.dtype)

    def open_engine(version: VersionRef) -> TransformersEngine:
        resident = residents.bring(version.path)
        return TransformersEngine(resident.model, resident.tokenizer, settings.batch_tokens)

    return open_engine


class TransformersEngine:
    """Answers for one model in memory.

    Args:
        model: a causal language model, in evaluation mode.
        tokenizer: its tokenizer; without a chat template, the turns of a chat are set one a line.
        batch_tokens: most tokens computed at once, padding included, shared beginnings not counted.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_tokens: int = 2048) -> None:
        self._tokenizer = tokenizer
        self._batch_tokens = batch_tokens
        self._encoder = Encoder(tokenizer, model.generation_config)
        self._forward = Forward(model, pad=self._encoder.ends[0])
        extension = attached(model)
        self._words = extension.words if extension else {}
        self._vocabulary = int(model.get_input_embeddings().weight.shape[0])  # pyright: ignore

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], max_new_tokens: Sequence[int]) -> Iterator[tuple[int, str]]:
        """See `monitors.engines.Engine.generate`."""
        encoded = [self._encoder.prompt(prompt) for prompt in prompts]
        cached_tokens = self._batch_tokens * CACHED_BATCHES
        for family in self._families(encoded):
            prefix, skip = self._forward.prefix(family.prefix), len(family.prefix)
            jobs = [Job(i, len(encoded[i]) - skip, max_new_tokens[i], skip) for i in family.members]
            for batch in batches(jobs, cached_tokens, cached_tokens):
                state = self._forward.start([encoded[job.index][skip:] for job in batch], prefix)
                rows = [_Row(job.width, tuple(filter(None, prompts[job.index].stop))) for job in batch]
                self._greedy(state, rows)
                for job, row in zip(batch, rows, strict=True):
                    yield job.index, before_stop(self._said(row.tokens), row.stop)

    @torch.inference_mode()
    def loglikelihood(self, pairs: Sequence[tuple[Prompt, Continuation]]) -> Iterator[tuple[int, Likelihood]]:
        """See `monitors.engines.Engine.loglikelihood`."""
        asked: dict[Prompt | int, list[int]] = defaultdict(list)
        for index, (prompt, _) in enumerate(pairs):
            asked[index if self._forward.routes else prompt].append(index)
        members = list(asked.values())
        prompts = [self._encoder.prompt(pairs[first][0]) for first, *_ in members]
        continuations = [self._encoder.continuation(continuation) for _, continuation in pairs]
        for family in self._families(prompts):
            prefix, skip = self._forward.prefix(family.prefix), len(family.prefix)
            rows = {i: Branches(prompts[i][skip:], tuple(continuations[m] for m in members[i])) for i in family.members}
            jobs = [Job(index, len(row.prompt), row.width) for index, row in rows.items()]
            for batch in batches(jobs, self._batch_tokens):
                scored = self._forward.branch([rows[job.index] for job in batch], prefix)
                for job, found in zip(batch, scored, strict=True):
                    for index, told in zip(members[job.index], found, strict=True):
                        yield index, Likelihood(sum(told.each), len(continuations[index]), told.greedy, told.each)

    @torch.inference_mode()
    def choose(self, prompt: Prompt, schema: Mapping[str, Any], max_new_tokens: int) -> str:
        """See `monitors.engines.Engine.choose`."""
        state = self._forward.start([self._encoder.prompt(prompt)], self._forward.prefix(()))
        guide = guide_for(self._tokenizer, self._vocabulary, schema)
        return self._encoder.text(constrained(self._forward, state, guide, max_new_tokens))

    def _said(self, tokens: Sequence[int]) -> str:
        """The text of an answer; a token that an extension adds is its last one and has a text of its own."""
        return self._encoder.text(tokens) + self._words.get(tokens[-1], "")

    def _families(self, prompts: Sequence[Tokens]) -> list[Family]:
        """Prompts by what they share; nothing, where the model chooses its way by each prompt as a whole."""
        return [Family((), tuple(range(len(prompts))))] if self._forward.routes else families(prompts)

    def _greedy(self, state: State, rows: Sequence[_Row]) -> None:
        """Append each row's likeliest tokens up to its end; ended rows leave the batch once a quarter of it has."""
        live = list(rows)
        while True:
            tokens = state.logits.argmax(-1)
            going = [self._take(row, token) for row, token in zip(live, tokens.tolist(), strict=True)]
            if not any(going):
                return
            over = torch.tensor([not goes for goes in going], device=tokens.device)
            tokens = tokens.masked_fill(over, self._encoder.ends[0])  # their own last token may be no word
            if going.count(False) * 4 >= len(going):
                kept = (~over).nonzero()[:, 0]
                state.keep(kept)
                tokens = tokens[kept]
                live = [row for row, goes in zip(live, going, strict=True) if goes]
            self._forward.step(state, tokens)

    def _take(self, row: _Row, token: int) -> bool:
        """Append `token` unless the row has ended; return whether the row goes on."""
        if row.ended:
            return False
        row.tokens.append(token)
        row.ended = token in self._encoder.ends or len(row.tokens) >= row.limit or self._is_stopped(row)
        return not row.ended

    def _is_stopped(self, row: _Row) -> bool:
        """Whether a stop text ends in the last token; it takes at most as many tokens as it has bytes."""
        if not row.stop:
            return False
        tail = self._encoder.text(row.tokens[-max(len(stop.encode()) for stop in row.stop) :])
        return any(stop in tail for stop in row.stop)


@dataclass(slots=True)
class _Row:
    """An answer in progress."""

    limit: int
    stop: tuple[str, ...]
    tokens: list[int] = field(default_factory=list[int])
    ended: bool = False
