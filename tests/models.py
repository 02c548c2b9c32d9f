"""Models of the tests: of words, made once per machine and source text, and published as versions."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from learners import durable
from learners.parts.memory import ReplayMemory
from learners.versions import VersionSpec, write_data, write_spec

__all__ = ["made_once", "published", "word_model", "word_tokenizer"]

_RATE, _WARM_UP_STEPS = 3e-3, 20


def made_once(name: str, source: Path, build: Callable[[Path], None]) -> Path:
    """The folder that `build` fills, made by whichever process comes first; another source text makes another."""
    key = hashlib.sha256(source.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    shared = Path(tempfile.gettempdir()) / f"cld-{name}-{key}"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            building = shared.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)
            build(building)
            building.rename(shared)
    return shared


def published(versions: Path, version_id: str, weights: Path, memory: ReplayMemory) -> Path:
    """A full-weight version below `versions`."""
    staging, final = versions / f".{version_id}", versions / version_id
    shutil.copytree(weights, staging / "weights")
    memory.write(staging / "memory")
    write_data(staging, ())
    write_spec(staging, VersionSpec(id=version_id, created_by="tests"))
    durable.write_manifest(staging)
    staging.rename(final)
    return final


def word_tokenizer(words: Sequence[str], end: str, template: str | None = None):
    """A tokenizer whose tokens are words.

    Args:
        words: every one that it knows; the first one pads, and "[UNK]" stands for all others.
        end: the word that ends a text or a turn.
        template: of a chat.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=words[0], unk_token="[UNK]", chat_template=template
    )


def word_model(tokenizer, ids, labels, *, layers: int, positions: int, batch: int):
    """A Llama of width 64, untied, that passed once over its rows.

    Args:
        ids, labels: rows x tokens.
        layers, positions: how many it has, and the longest text it can read.
        batch: rows of a step.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)  # on shared cores two threads are ten times slower than one
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=layers,
        num_attention_heads=4, max_position_embeddings=positions, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.0)
    steps = len(ids) // batch
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _WARM_UP_STEPS) * (1 - step / steps)
        rows = slice(step * batch, (step + 1) * batch)
        model(input_ids=ids[rows], labels=labels[rows]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()
