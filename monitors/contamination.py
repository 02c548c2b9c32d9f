"""Contamination: suite items whose text stands, or is nearly said, in what a cycle is about to train on.

Two tests, each in the manner of a published one:

- n-grams: the share of an item's word n-grams that occur in the training records. PaLM (Chowdhery 2022, appendix)
  counts an item as seen at 70 % of its 8-grams, the rule here; GPT-3 (Brown 2020, appendix C) at a single 13-gram. Both
  lower the case and drop punctuation, as is done here. An item shorter than n words, but of at least five, is one gram.
- meaning: the cosine similarity (MiniLM) of the item and a sentence or turn of a record, as decontaminators look for
  rephrased items (Yang 2023). Templates make strangers look alike ("What is 7 + 5?"), so the numbers must agree too,
  and only pairs that share half of the item's content words, and a third of the sentence's, are embedded: a rephrasing
  in other words altogether is not found.

Owns the two tests and nothing else: what is set aside for it is `agent.set_aside`'s. Called by
`monitors.gaps` before training. Pure but for the embedding that is handed in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import regex
from numpy.typing import NDArray

from learners.records import Record
from monitors.job import Contaminated, ContaminationPolicy
from monitors.probes.suites import Suite

__all__ = ["contaminated", "units"]

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
Gram = tuple[str, ...]

_FEWEST_WORDS: Final = 5
_SHARED_OF_ITEM: Final = 1 / 2
_SHARED_OF_SENTENCE: Final = 1 / 3
_WORD: Final = regex.compile(r"\w+")
_NUMBER: Final = regex.compile(r"\d+(?:[.,]\d+)*")
_SENTENCE_END: Final = regex.compile(r"(?<=[.!?])\s+|\n+")
_COMMON: Final = frozenset(
    """
    about after also answer been before could does down every from give given have here into just like make many more
    most much name number only other over question said same should some such than that their them then there these
    they this those very was were what when where which while will with would write your
    """.split()  # noqa: SIM905 - words read better than a column of quotes
)


def contaminated(
    suites: Sequence[Suite], records: Sequence[Record], policy: ContaminationPolicy, embed: Embed
) -> tuple[Contaminated, ...]:
    """The items of `suites` that `records` give away, each once, with the record that does so most.

    Args:
        suites: a task of lm-evaluation-harness has no items unless they are listed (`monitors.probes.harness_listing`).
        records: what training may read.
        embed: texts to normalised vectors [n, d].
    """
    items = [_Item(suite.suite, entry.id, entry.text) for suite in suites for entry in suite.entries]
    texts = [(record.id, unit) for record in records for unit in units(record)]
    found = _by_ngrams(items, texts, policy)
    rest = [item for item in items if (item.suite, item.probe) not in found]
    found |= _by_meaning(rest, texts, policy, embed)
    return tuple(found[key] for key in sorted(found))


def units(record: Record) -> Iterator[str]:
    """The pieces of a record that an item is compared with: its text, or the words of each turn."""
    content = record.content
    if record.kind == "text":
        yield content["text"]
        return
    for part in ("messages", "prompt", "chosen", "rejected", "completion"):
        for turn in content.get(part) or ():
            yield _spoken(turn)
    if why := content.get("rationale"):
        yield str(why)
    for part in ("positive", "negative"):
        for example in (content.get("task") or {}).get(part, ()):
            yield f"{example['input']}\n{example['output']}"


def _spoken(turn: Any) -> str:
    return str(turn.get("content") or "") if isinstance(turn, dict) else str(turn)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True)
class _Item:
    suite: str
    probe: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        return self.suite, self.probe

    @cached_property
    def words(self) -> list[str]:
        return _words(self.text)

    @cached_property
    def content(self) -> frozenset[str]:
        return _content(self.words)

    def grams(self, length: int) -> list[Gram]:
        if len(self.words) < _FEWEST_WORDS:
            return []
        return list(_grams(self.words, min(length, len(self.words))))


def _by_ngrams(
    items: Sequence[_Item], texts: Iterable[tuple[str, str]], policy: ContaminationPolicy
) -> dict[tuple[str, str], Contaminated]:
    """Look the items' own grams up while the texts go by, so that memory grows with the suites, not with the data."""
    wanted = {gram for item in items for gram in item.grams(policy.ngram_words)}
    lengths = {len(gram) for gram in wanted}
    holders: dict[Gram, set[str]] = defaultdict(set)
    for record, text in texts:
        words = _words(text)
        for length in lengths:
            for gram in _grams(words, length):
                if gram in wanted:
                    holders[gram].add(record)
    found: dict[tuple[str, str], Contaminated] = {}
    for item in items:
        grams = item.grams(policy.ngram_words)
        held = [gram for gram in grams if gram in holders]
        if held and len(held) / len(grams) >= policy.ngram_share:
            records = Counter(record for gram in held for record in sorted(holders[gram]))
            found[item.key] = Contaminated(
                suite=item.suite, probe=item.probe, record=records.most_common(1)[0][0], by="ngram",
                degree=len(held) / len(grams),
            )  # fmt: skip
    return found


def _by_meaning(
    items: Sequence[_Item], texts: Sequence[tuple[str, str]], policy: ContaminationPolicy, embed: Embed
) -> dict[tuple[str, str], Contaminated]:
    pairs = _alike(items, [(record, sentence) for record, text in texts for sentence in _sentences(text)])
    if not pairs:
        return {}
    wanted = list(dict.fromkeys(text for item, _, sentence in pairs for text in (item.text, sentence)))
    row = {text: number for number, text in enumerate(wanted)}
    vectors = embed(wanted)
    found: dict[tuple[str, str], Contaminated] = {}
    for item, record, sentence in pairs:
        degree = float(vectors[row[item.text]] @ vectors[row[sentence]])
        if degree >= policy.similarity and (item.key not in found or degree > found[item.key].degree):
            found[item.key] = Contaminated(
                suite=item.suite, probe=item.probe, record=record, by="meaning", degree=min(degree, 1.0)
            )
    return found


def _alike(items: Sequence[_Item], sentences: Iterable[tuple[str, str]]) -> list[tuple[_Item, str, str]]:
    """Pairs of an item and a sentence that share enough words, and all of the item's numbers, to be worth embedding."""
    holding: dict[str, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        for word in item.content:
            holding[word].append(number)
    pairs: list[tuple[_Item, str, str]] = []
    for record, sentence in dict.fromkeys(sentences):
        words, numbers = _content(_words(sentence)), _numbers(sentence)
        shared = Counter(number for word in words for number in holding.get(word, ()))
        pairs += [
            (items[number], record, sentence)
            for number, count in shared.items()
            if count >= len(words) * _SHARED_OF_SENTENCE
            and count >= max(min(2, len(items[number].content)), len(items[number].content) * _SHARED_OF_ITEM)
            and _numbers(items[number].text) <= numbers
        ]
    return pairs


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _content(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word for word in words if len(word) > 3 and word not in _COMMON)


def _numbers(text: str) -> frozenset[str]:
    return frozenset(_NUMBER.findall(text))


def _grams(words: Sequence[str], length: int) -> Iterator[Gram]:
    return (tuple(words[start : start + length]) for start in range(len(words) - length + 1))


def _sentences(text: str) -> list[str]:
    """The text itself where it is short, and its sentences."""
    parts = [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
    return parts if len(parts) < 2 or len(parts) > 3 else [text.strip(), *parts]
