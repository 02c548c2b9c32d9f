"""The first things worth rehearsing: the base model's own answers to everyday prompts.

Owns the seed of the replay memory of version `v0`, and greedy answers of a model to conversations. The prompts are in
`seed_prompts.yaml`; greedy, so equal weights give equal answers. Called by `learners.models`; `answers` also where a
parent explains what its child will learn (`learners.parts.rationales`).

Source: Huang et al. 2024, "Mitigating Catastrophic Forgetting in Large Language Models with Self-Synthesized
Rehearsal" (arXiv:2403.01244). It differs: fixed prompts instead of ones the model invents, and of the answers only
those that go in circles are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from learners.parts.memory import Remembered, ReplayMemory
from learners.records import Record, record_id

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["answers", "digest", "loops", "prompts", "seed_memory"]

_FILE = Path(__file__).with_name("seed_prompts.yaml")
_ANSWER_TOKENS = 32
_BATCH = 16
_DISTINCT_SHARE = 0.75


def prompts() -> tuple[str, ...]:
    """The shipped prompts."""
    return tuple(yaml.safe_load(_FILE.read_text(encoding="utf-8")))


def digest() -> str:
    """Changes whenever the seed would: SHA-256 of the prompts and the answer length."""
    return hashlib.sha256(_FILE.read_bytes() + str(_ANSWER_TOKENS).encode()).hexdigest()


def seed_memory(weights_folder: Path, asked: Sequence[str] | None = None) -> ReplayMemory:
    """Let a model answer and remember the answers; empty for a model without a chat template.

    Args:
        weights_folder: safetensors weights with tokenizer.
        asked: prompts; the shipped ones unless told.
    """
    from learners import weights

    tokenizer = weights.read_tokenizer(weights_folder)
    if not tokenizer.chat_template:
        return ReplayMemory()
    model = weights.read_weights(weights_folder).to(weights.best_device()).eval()  # pyright: ignore
    questions = list(asked if asked is not None else prompts())
    said = answers(model, tokenizer, [[{"role": "user", "content": text}] for text in questions], _ANSWER_TOKENS)
    items = [
        _remembered(question, answer, complete)
        for question, (answer, complete) in zip(questions, said, strict=True)
        if answer and not loops(answer)
    ]
    return ReplayMemory(items=tuple(items), seen={"seed": len(items)})


def loops(answer: str) -> bool:
    """Whether an answer goes round: fewer than three quarters of its three-word sequences differ."""
    words = answer.lower().split()
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return len(set(triples)) < _DISTINCT_SHARE * len(triples)


def _remembered(question: str, answer: str, complete: bool) -> Remembered:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    content = {"messages": messages}
    record = Record(id=record_id("instruction", content), source="self", kind="instruction", content=content)
    return Remembered(stage="seed", record=record, complete=complete)


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[dict[str, Any]]],
    most_tokens: int,
) -> list[tuple[str, bool]]:
    """Greedy answers, each with whether the model ended it by itself.

    Args:
        conversations: messages that end with a turn of the user.
        most_tokens: longest answer.
    """
    found: list[tuple[str, bool]] = []
    for start in range(0, len(conversations), _BATCH):
        found += _answered(model, tokenizer, conversations[start : start + _BATCH], most_tokens)
    return found


def _answered(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[dict[str, Any]]],
    most_tokens: int,
) -> list[tuple[str, bool]]:
    import torch

    rendered = [
        str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))
        for messages in conversations
    ]
    inputs = tokenizer(  # pyright: ignore
        rendered, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
    ).to(model.device)
    with torch.inference_mode():
        out = model.generate(  # pyright: ignore
            **inputs, max_new_tokens=most_tokens, do_sample=False, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
    width = inputs["input_ids"].shape[1]
    found: list[tuple[str, bool]] = []
    for row in out[:, width:].tolist():
        complete = tokenizer.eos_token_id in row
        answer = row[: row.index(tokenizer.eos_token_id)] if complete else row
        found.append((str(tokenizer.decode(answer, skip_special_tokens=True)).strip(), complete))
    return found
