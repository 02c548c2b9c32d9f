"""The embedded engine: transformers on this machine's CPU or GPU.

Owns tokenisation and batching of requests; weights come from `monitors.engines.residents`. What is computed once: the
beginning that many prompts share (a system turn), and a prompt that several continuations share (the choices of a
probe). Generation is greedy and ends a row at the model's end-of-sequence token.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from monitors.engines import Likelihood, OpenEngine, Prompt
from monitors.engines.batching import Job, Tokens, batches, families
from monitors.engines.constrained import constrained, guide_for
from monitors.engines.forward import Branches, Forward, State
from monitors.engines.residents import Residents
from monitors.job import EngineSettings, VersionRef

__all__ = ["TransformersEngine", "engines"]


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
        self._tokenizer: Any = tokenizer
        self._batch_tokens = batch_tokens
        self._ends = _end_tokens(model, tokenizer)
        self._forward = Forward(model, pad=self._ends[0])
        self._vocabulary = int(model.get_input_embeddings().weight.shape[0])  # pyright: ignore

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], max_new_tokens: Sequence[int]) -> Iterator[tuple[int, str]]:
        """See `monitors.engines.Engine.generate`."""
        encoded = [self._encode_prompt(prompt) for prompt in prompts]
        for family in families(encoded):
            prefix, skip = self._forward.prefix(family.prefix), len(family.prefix)
            jobs = [Job(i, len(encoded[i]) - skip, max_new_tokens[i]) for i in family.members]
            for batch in batches(jobs, self._batch_tokens):
                state = self._forward.start([encoded[job.index][skip:] for job in batch], prefix)
                for job, tokens in zip(batch, self._greedy(state, [job.width for job in batch]), strict=True):
                    yield job.index, str(self._tokenizer.decode(tokens, skip_special_tokens=True))

    @torch.inference_mode()
    def loglikelihood(self, pairs: Sequence[tuple[Prompt, str]]) -> Iterator[tuple[int, Likelihood]]:
        """See `monitors.engines.Engine.loglikelihood`."""
        asked: dict[Prompt, list[int]] = defaultdict(list)
        for index, (prompt, _) in enumerate(pairs):
            asked[prompt].append(index)
        prompts = [self._encode_prompt(prompt) for prompt in asked]
        members = list(asked.values())
        continuations = [self._encode(continuation) for _, continuation in pairs]
        for family in families(prompts):
            prefix, skip = self._forward.prefix(family.prefix), len(family.prefix)
            rows = {i: Branches(prompts[i][skip:], tuple(continuations[m] for m in members[i])) for i in family.members}
            jobs = [Job(index, len(row.prompt), row.width) for index, row in rows.items()]
            for batch in batches(jobs, self._batch_tokens):
                sums = self._forward.branch([rows[job.index] for job in batch], prefix)
                for job, logprobs in zip(batch, sums, strict=True):
                    for index, logprob in zip(members[job.index], logprobs, strict=True):
                        yield index, Likelihood(logprob, len(continuations[index]))

    @torch.inference_mode()
    def choose(self, prompt: Prompt, schema: Mapping[str, Any], max_new_tokens: int) -> str:
        """See `monitors.engines.Engine.choose`."""
        state = self._forward.start([self._encode_prompt(prompt)], self._forward.prefix(()))
        guide = guide_for(self._tokenizer, self._vocabulary, schema)
        tokens = constrained(self._forward, state, guide, max_new_tokens)
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))

    def _greedy(self, state: State, limits: Sequence[int]) -> list[list[int]]:
        """Likeliest tokens of each row up to its limit; rows that ended leave the batch once a quarter of it has."""
        found: list[list[int]] = [[] for _ in limits]
        live = list(range(len(limits)))
        while True:
            tokens = state.logits.argmax(-1)
            taken = zip(live, tokens.tolist(), strict=True)
            going = [self._take(found[row], token, limits[row]) for row, token in taken]
            if not any(going):
                return found
            if going.count(False) * 4 >= len(going):
                kept = torch.tensor([place for place, goes in enumerate(going) if goes], device=tokens.device)
                state.keep(kept)
                tokens = tokens[kept]
                live = [row for row, goes in zip(live, going, strict=True) if goes]
            self._forward.step(state, tokens)

    def _take(self, row: list[int], token: int, limit: int) -> bool:
        """Append `token` unless the row has ended; return whether the row goes on."""
        if len(row) >= limit or (row and row[-1] in self._ends):
            return False
        row.append(token)
        return token not in self._ends and len(row) < limit

    def _encode_prompt(self, prompt: Prompt) -> Tokens:
        if not prompt.turns:
            return (_document_start(self._tokenizer, self._ends), *self._encode(prompt.text))
        if not self._tokenizer.chat_template:
            return self._encode("".join(turn.content + "\n" for turn in prompt.turns))
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt.turns]
        return self._encode(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def _encode(self, text: str) -> Tokens:
        return tuple(cast(list[int], self._tokenizer(text, add_special_tokens=False)["input_ids"]))


def _document_start(tokenizer: Any, ends: Sequence[int]) -> int:
    """The token that stands before a document in training: `<|endoftext|>` where the vocabulary has it."""
    return int(tokenizer.get_vocab().get("<|endoftext|>", ends[0]))


def _end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Tokens that end an answer: the generation configuration's and the tokenizer's."""
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    listed = configured if isinstance(configured, list) else [configured]
    return tuple(dict.fromkeys(int(token) for token in [tokenizer.eos_token_id, *listed] if token is not None))
