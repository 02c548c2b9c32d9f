"""A small real model that copies six symbols, and tasks that put others in their place: where forgetting is measured.

    base = symbol_base(tmp_path / "versions")                      # a published version folder `v0`
    records = task(1, 64, symbols=OWN[1], seed=0)                  # chats of the task marked `t1`

A task maps every symbol to another one. Tasks over `OWN` share no symbol (disjoint), tasks over `SHARED` all of them
(conflicting). Four Llama layers of width 64, untied, trained once per machine and source text.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from learners.parts.memory import Remembered, ReplayMemory
from learners.records import Record
from tests.models import made_once, published, word_model, word_tokenizer
from tests.tiny import chat

__all__ = ["OWN", "SHARED", "SYMBOLS", "symbol_base", "task"]

SYMBOLS = [f"s{number}" for number in range(60)]
OWN = {number: SYMBOLS[start : start + 20] for number, start in ((1, 0), (2, 20), (3, 40))}
"""Task -> its own twenty symbols."""
SHARED = SYMBOLS[:40]
"""The symbols of conflicting tasks."""

_LENGTH = 6
_STEPS, _BATCH = 300, 32
_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ message['content'] }} = {% else %}"
    "{{ message['content'] }} <|im_end|>{% endif %}{% endfor %}"
)


def task(number: int, count: int, *, symbols: Sequence[str], seed: int) -> list[Record]:
    """Chats of a task: six symbols, answered by the six that it maps them to. Task 0 copies.

    Args:
        number: of the task; with the symbols it decides the mapping.
        seed: of the questions.
    """
    images = dict(zip(symbols, random.Random(number).sample(symbols, len(symbols)), strict=True)) if number else {}
    draw = random.Random(f"{number}:{seed}")
    asked = [draw.choices(symbols, k=_LENGTH) for _ in range(count)]
    return [chat(f"t{number} {' '.join(one)}", " ".join(images.get(symbol, symbol) for symbol in one)) for one in asked]


def symbol_base(versions: Path, *, remembered: int = 0, version_id: str = "v0") -> Path:
    """Publish the model as a full-weight version below `versions`; its replay memory holds so many chats of task 0."""
    known = tuple(Remembered(stage="seed", record=one) for one in task(0, remembered, symbols=SYMBOLS, seed=7))
    weights = made_once("symbols", Path(__file__), _build)
    return published(versions, version_id, weights, ReplayMemory(items=known, seen={"seed": len(known)}))


def _build(folder: Path) -> None:
    import torch

    from learners.parts.views import rehearsal_rows

    words = ["<|endoftext|>", "<|im_end|>", "[UNK]", "=", *(f"t{number}" for number in range(16)), *SYMBOLS]
    tokenizer = word_tokenizer(words, "<|im_end|>", _TEMPLATE)
    records = task(0, _STEPS * _BATCH, symbols=SYMBOLS, seed=0)
    rows = [row for one in records for row in rehearsal_rows(one, tokenizer, 64)]
    ids, labels = (torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels"))
    word_model(tokenizer, ids, labels, layers=4, positions=64, batch=_BATCH).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
