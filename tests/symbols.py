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

from learners.parts.memory import ReplayMemory
from learners.records import Record
from tests.models import made_once, published
from tests.tiny import chat

__all__ = ["OWN", "SHARED", "symbol_base", "task"]

_SYMBOLS = [f"s{number}" for number in range(60)]
OWN = {number: _SYMBOLS[start : start + 20] for number, start in ((1, 0), (2, 20), (3, 40))}
"""Task -> its own twenty symbols."""
SHARED = _SYMBOLS[:40]
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


def symbol_base(versions: Path, version_id: str = "v0") -> Path:
    """Publish the model as a full-weight version below `versions`, with an empty replay memory."""
    return published(versions, version_id, made_once("symbols", Path(__file__), _build), ReplayMemory())


def _build(folder: Path) -> None:
    tokenizer = _tokenizer()
    _trained(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<|endoftext|>", "<|im_end|>", "[UNK]", "=", *(f"t{number}" for number in range(16)), *_SYMBOLS]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="[UNK]",
        chat_template=_TEMPLATE,
    )


def _trained(tokenizer):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from learners.parts.views import rehearsal_rows

    torch.set_num_threads(1)  # on shared cores two threads are ten times slower than one
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=64, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    records = task(0, _STEPS * _BATCH, symbols=_SYMBOLS, seed=0)
    rows = [row for one in records for row in rehearsal_rows(one, tokenizer, 64)]
    ids, labels = (torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels"))
    for step in range(_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 20) * (1 - step / _STEPS)
        batch = slice(step * _BATCH, (step + 1) * _BATCH)
        model(input_ids=ids[batch], labels=labels[batch]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()
