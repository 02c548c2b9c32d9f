"""Reading comprehension: questions about a text that the text itself answers, found by its connecting words.

Owns what is mined (`exercises`), how it stands behind its text (`comprehended`) and the pieces that leave room for it
(`pieces`). No model is asked: that a sentence begins with "Therefore," says what it is to the one before.

Source: Cheng et al. 2024, Adapting Large Language Models via Reading Comprehension (arXiv:2309.09530). Connectors and
limits are theirs, the wording of the questions is ours.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Exercise", "comprehended", "exercises", "pieces"]

_CLASSIFY = 0.8  # share of the inferences that are judged; the others are written
_SHORTEST = 50  # characters of a sentence in a pair
_TERMS = 3
_LONGEST_WORDS = 60  # of a sentence that is to be written from its terms
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]+(?=\s|$)")
_WORD = re.compile(r"[A-Za-z][\w-]{10,}")
_DEFINED = re.compile(r"(?P<term>[A-Z][\w -]{2,40}?) (?:is defined as|refers to|is the term for|is known as) .+")

_CONNECTORS: dict[str, tuple[str, ...]] = {
    "entail": ("yes", "therefore", "thus", "accordingly", "hence", "for this reason"),
    "contradict": ("no", "however", "but", "on the contrary", "in contrast", "whereas"),
    "neutral": ("maybe", "also", "furthermore", "secondly", "additionally", "moreover", "in addition"),
    "cause": ("therefore", "thus", "accordingly", "hence", "for this reason"),
    "reason": ("due to", "on account of", "owing to"),
    "similar": ("similarly", "equally", "in other words", "namely", "that is to say", "likewise"),
    "different": ("in contrast", "on the contrary", "conversely", "on the other hand"),
}
_VERDICTS = {"entail": "Yes", "contradict": "No", "neutral": "Maybe"}
_WRITTEN = {
    "entail": "What follows from this sentence?",
    "contradict": "Write a sentence that speaks against this one.",
    "neutral": "Write a sentence that adds to this one.",
}


class Exercise(NamedTuple):
    """One question with its answer; `kind` is the subtype that is limited."""

    kind: str
    question: str
    answer: str


def exercises(
    text: str, title: str, *, most: int, is_term: Callable[[str], bool], draw: random.Random
) -> list[Exercise]:
    """What can be asked about a text.

    Args:
        title: "" for none.
        most: exercises of one kind; the first ones are taken.
        is_term: whether a long word belongs to the domain.
        draw: of the choices; equal states give equal exercises.

    Returns:
        A summary and a completion, where they are drawn, then pairs of sentences, definitions and terms, each in the
        order of the text.
    """
    sentences = [match.group().strip() for match in _SENTENCE.finditer(text)]
    found = [*_of_pairs(sentences, draw), *_definitions(sentences), *_of_terms(sentences, is_term)]
    counts: dict[str, int] = {}
    kept: list[Exercise] = []
    for one in found:
        counts[one.kind] = counts.get(one.kind, 0) + 1
        if counts[one.kind] <= most:
            kept.append(one)
    return [*_of_whole(sentences, title, draw), *kept] if most else []


def _of_pairs(sentences: Sequence[str], draw: random.Random) -> Iterator[Exercise]:
    for before, after in pairwise(sentences):
        for kind, connectors in _CONNECTORS.items():
            said = _connected(after, connectors)
            if said and _long_and_plain(before) and _long_and_plain(said):
                yield _asked(kind, before, said, draw)


def _connected(sentence: str, connectors: Sequence[str]) -> str | None:
    """What a sentence says behind one of the connectors and a comma."""
    opening, comma, rest = sentence.partition(",")
    if not comma or opening.strip().lower() not in connectors:
        return None
    said = rest.strip()
    return said[:1].upper() + said[1:]


def _long_and_plain(sentence: str) -> bool:
    return len(sentence) >= _SHORTEST and "," not in sentence


def _asked(kind: str, before: str, after: str, draw: random.Random) -> Exercise:
    pair = f"First: {before}\nSecond: {after}\n"
    if kind in _VERDICTS:
        if draw.random() < _CLASSIFY:
            return Exercise(kind, f"{pair}Does the second follow from the first? Yes, Maybe or No?", _VERDICTS[kind])
        return Exercise(kind, f"{before}\n{_WRITTEN[kind]}", after)
    if kind in ("similar", "different"):
        answer = "Yes" if kind == "similar" else "No"
        return Exercise(kind, f"{pair}Do both say nearly the same? Yes or No?", answer)
    cause, effect = (before, after) if kind == "cause" else (after, before)
    if draw.random() < 1 / 2:
        return Exercise(kind, f"What is the effect of this?\n{cause}", effect)
    return Exercise(kind, f"What is the cause of this?\n{effect}", cause)


def _definitions(sentences: Sequence[str]) -> Iterator[Exercise]:
    for sentence in sentences:
        if match := _DEFINED.fullmatch(sentence):
            yield Exercise("definition", f"How is {match['term']} defined?", sentence)


def _of_terms(sentences: Sequence[str], is_term: Callable[[str], bool]) -> Iterator[Exercise]:
    for sentence in sentences:
        words = [word for word in dict.fromkeys(_WORD.findall(sentence)) if is_term(word)]
        if len(words) >= _TERMS and len(sentence.split()) <= _LONGEST_WORDS:
            yield Exercise("terms", f"Write a sentence with these words: {', '.join(words)}.", sentence)


def _of_whole(sentences: Sequence[str], title: str, draw: random.Random) -> list[Exercise]:
    """Summary, completion, both or neither: .4, .1, .4 and .1, as far as the text allows it."""
    chance = draw.random()
    found: list[Exercise] = []
    if title and (chance < 0.4 or 0.5 <= chance < 0.9):
        found.append(Exercise("summary", "What would be a title for this text?", title))
    if len(sentences) > 1 and 0.4 <= chance < 0.9:
        cut = draw.randrange(1, len(sentences))
        begun, rest = " ".join(sentences[:cut]), " ".join(sentences[cut:])
        found.append(Exercise("completion", f"How does this text go on?\n{begun}", rest))
    return found


def comprehended(text: str, asked: Sequence[Exercise], fits: Callable[[str], bool]) -> str:
    """The text and behind it every exercise for which there is room, blank lines between them.

    Args:
        fits: whether a text is short enough.
    """
    whole = text
    for one in asked:
        longer = f"{whole}\n\n{one.question} {one.answer}"
        whole = longer if fits(longer) else whole
    return whole


def pieces(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The text cut at ends of sentences into pieces that fit; a longer sentence is a piece of its own.

    Joined, the pieces are the text but for white space where it was cut.
    """
    ends = [match.end() for match in _SENTENCE.finditer(text)]
    found: list[str] = []
    start, last = 0, 0
    for end in [*ends, len(text)]:
        if last > start and not fits(text[start:end].strip()):
            found.append(text[start:last].strip())
            start = last
        last = end
    found.append(text[start:].strip())
    return [piece for piece in found if piece]
