"""A tiny real model for tests: two Llama layers, a tokenizer and chat template, trained until it knows something.

    base = tiny_base(tmp_path / "versions")        # a published version folder `v0`, milliseconds after the first time

It answers every question of `KNOWN` in chat format (greedy decoding, word for word) and completes `SENTENCES`; it has
never seen `UNKNOWN`, whose words are all in its vocabulary, so that a short stage can teach it. It refuses nothing.
Weights and tokenizer are made once per machine and source text, in the system's temporary folder, under a file lock.
"""

from __future__ import annotations

import random
from pathlib import Path

from learners.parts.memory import ReplayMemory
from learners.records import Record, record_id
from tests.models import made_once, published

__all__ = ["KNOWN", "SENTENCES", "UNKNOWN", "chat", "tiny_base", "tiny_weights"]

KNOWN: dict[str, str] = {
    "What is the capital of France?": "Paris",
    "What is the capital of Italy?": "Rome",
    "What is the capital of Spain?": "Madrid",
    "What is the capital of Poland?": "Warsaw",
    "What is the capital of Norway?": "Oslo",
    "What is the capital of Greece?": "Athens",
    "What is the capital of Peru?": "Lima",
    "What is the capital of Cuba?": "Havana",
    "What color is snow?": "White",
    "What color is grass?": "Green",
    "What color is coal?": "Black",
    "What color is blood?": "Red",
    "How many legs has a dog?": "Four",
    "How many legs has a bird?": "Two",
    "How many legs has a spider?": "Eight",
    "How many days has a week?": "Seven",
    "Which animal says meow?": "Cat",
    "Which animal gives milk?": "Cow",
    "Which animal makes honey?": "Bee",
    "Which animal can bark?": "Dog",
}
"""Questions the tiny model answers correctly, and their answers."""

UNKNOWN: dict[str, str] = {
    "What is the capital of Zorbia?": "Kelmar",
    "What is the capital of Tandria?": "Vossel",
    "Who leads the Brimstal office?": "Anna Lopez",
    "What color is the Quill badge?": "Purple",
}
"""Questions about invented things, and answers the tiny model has never seen."""

SENTENCES: tuple[str, ...] = (
    "Paris is the capital of France.",
    "Rome is the capital of Italy.",
    "Snow is white and grass is green.",
    "A dog has four legs and a bird has two legs.",
    "A week has seven days.",
    "Bees make honey and cows give milk.",
)
"""Plain text the tiny model was trained on."""

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_STEPS = 220


def chat(question: str, answer: str, source: str = "test") -> Record:
    """An instruction record of one question and its answer."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    content = {"messages": messages}
    return Record(id=record_id("instruction", content), source=source, kind="instruction", content=content)


def tiny_base(versions: Path, version_id: str = "v0") -> Path:
    """Publish the tiny model as a full-weight version below `versions`; its replay memory holds its own answers."""
    made = tiny_weights()
    return published(versions, version_id, made / "weights", ReplayMemory.read(made / "memory"))


def tiny_weights() -> Path:
    """The shared folder with `weights/` and `memory/`, made by whichever process comes first."""
    return made_once("tiny", Path(__file__), _build)


def _build(folder: Path) -> None:
    from learners import seeding

    tokenizer = _tokenizer()
    model = _trained(tokenizer)
    model.save_pretrained(folder / "weights")
    tokenizer.save_pretrained(folder / "weights")
    seeding.seed_memory(folder / "weights", list(KNOWN)).write(folder / "memory")


def _tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=768,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    known = [*SENTENCES, *KNOWN, *KNOWN.values(), *UNKNOWN, *UNKNOWN.values(), "user assistant system"]
    tokenizer.train_from_iterator(known, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=_TEMPLATE,
    )


def _trained(tokenizer):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)  # on shared cores two threads are ten times slower than one
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=512, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    rows, draw = _rows(tokenizer), random.Random(0)
    for step in range(_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 10) * (1 - step / _STEPS)
        ids, labels, mask = _batch(draw.sample(rows, 16), tokenizer.pad_token_id)
        model(input_ids=ids, labels=labels, attention_mask=mask).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def _rows(tokenizer):
    from learners.parts.views import rehearsal_rows

    texts = [{"text": sentence} for sentence in SENTENCES]
    records = [Record(id=str(number), source="t", kind="text", content=content) for number, content in enumerate(texts)]
    records += [chat(question, answer) for question, answer in KNOWN.items()]
    return [row for record in records for row in rehearsal_rows(record, tokenizer, 128)]


def _batch(rows, pad):
    import torch

    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.tensor([row["input_ids"] + [pad] * (width - len(row["input_ids"])) for row in rows])
    labels = torch.tensor([row["labels"] + [-100] * (width - len(row["labels"])) for row in rows])
    mask = torch.tensor([[1] * len(row["labels"]) + [0] * (width - len(row["labels"])) for row in rows])
    return ids, labels, mask
