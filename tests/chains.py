"""A small real model that speaks one random language, and other languages: where much is forgotten at once.

    base = chain_base(tmp_path / "versions", remembered=256)      # a published version folder `v0` that speaks "a"
    records = speech("b", 960, seed=1)                            # texts of another language

A language is a Markov chain over the same 64 words. Of the words, a share goes on as in language "a", the others go on
in another way: what is learned contradicts what is known, and nothing says which language a text is in. Two Llama
layers of width 64, trained once per machine and source text.
"""

from __future__ import annotations

from pathlib import Path

from learners.parts.memory import Remembered, ReplayMemory
from learners.records import Record, record_id
from tests.models import made_once, published, word_model, word_tokenizer

__all__ = ["SHARED", "WORDS", "chain_base", "speech"]

WORDS = [f"w{number}" for number in range(64)]
SHARED = 0.3
"""Of the words, those that go on in another language as in "a"."""

_LENGTH = 48
_STEPS, _BATCH = 300, 32


def _rows(language: str, shared: float, like: str = "a"):
    """words x words: how likely each word follows each; the first rows are those of the language that it is like."""
    import torch

    draw = torch.Generator().manual_seed(sum(language.encode()))
    own = (2.0 * torch.randn(len(WORDS), len(WORDS), generator=draw)).softmax(dim=1)
    kept = 0 if language == like else round(shared * len(WORDS))
    return torch.cat([_rows(like, 1.0, like)[:kept], own[kept:]]) if kept else own


def _numbers(language: str, count: int, seed: int, shared: float, like: str = "a"):
    """count x 48 numbers of words."""
    import torch

    rows, draw = _rows(language, shared, like), torch.Generator().manual_seed(seed)
    words = [torch.randint(len(WORDS), (count,), generator=draw)]
    while len(words) < _LENGTH:
        words.append(torch.multinomial(rows[words[-1]], 1, generator=draw).squeeze(1))
    return torch.stack(words, dim=1)


def speech(
    language: str, count: int, *, seed: int, shared: float = SHARED, source: str = "", like: str = "a"
) -> list[Record]:
    """Texts of a language.

    Args:
        language: its name, one letter.
        count: of texts, of 48 words each.
        seed: of the texts.
        shared: of the words, those that go on as in the language that it is like.
        source: of the records; the language, unless told.
        like: that language's name.
    """
    rows = _numbers(language, count, seed, shared, like).tolist()
    contents = [{"text": " ".join(WORDS[number] for number in row)} for row in rows]
    return [Record(id=record_id("text", one), source=source or language, kind="text", content=one) for one in contents]


def chain_base(versions: Path, *, remembered: int = 0, version_id: str = "v0") -> Path:
    """Publish the model below `versions`; its replay memory holds so many texts of language "a"."""
    known = tuple(Remembered(stage="seed", record=record) for record in speech("a", remembered, seed=7))
    weights = made_once("chains", Path(__file__), _build)
    return published(versions, version_id, weights, ReplayMemory(items=known, seen={"seed": len(known)}))


def _build(folder: Path) -> None:
    import torch

    tokenizer = word_tokenizer(["<|endoftext|>", "[UNK]", *WORDS], "<|endoftext|>")
    words = _numbers("a", _STEPS * _BATCH, 0, 1.0) + tokenizer.convert_tokens_to_ids(WORDS[0])
    ends = torch.full((len(words), 1), tokenizer.eos_token_id)
    ids = torch.cat([ends, words, ends], dim=1)
    word_model(tokenizer, ids, ids, layers=2, positions=128, batch=_BATCH).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
