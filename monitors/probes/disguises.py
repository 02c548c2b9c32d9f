"""Disguises: reversible ways to write a text, far from what a model was tuned on.

Owns the table of them and nothing else: `say` writes a question in the disguise, `unsay` reads an answer that is in it.
Used by the scorer `conjugate`, which asks an item through one of them.

Source: Kotha et al. 2024, Understanding Catastrophic Forgetting in Language Models via Implicit Inference
(arXiv:2309.10105), conjugate prompting: answer = s^-1(T(s(prompt))).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import regex

__all__ = ["DISGUISES", "Disguise", "DisguiseName"]

DisguiseName = Literal["plain", "leetspeak", "pig_latin", "capitals", "reversed_words", "prefix"]

_WORD = regex.compile(r"[\p{L}']+")
_LEET: Final = str.maketrans("aeiotAEIOT", "4310743107")
_UNLEET: Final = str.maketrans("43107", "aeiot")
_LEET_WORD = regex.compile(r"\w*\p{L}\w*")
_PIG = regex.compile(r"(?P<rest>[\p{L}']+)-(?P<start>[\p{L}']*?)ay\b", regex.IGNORECASE)
_VOWELS: Final = "aeiouAEIOU"


@dataclass(frozen=True, slots=True)
class Disguise:
    """One disguise; `unsay(say(text))` is `text`, but for case, and for a word that leetspeak makes a number of."""

    say: Callable[[str], str]
    unsay: Callable[[str], str]


def _same(text: str) -> str:
    return text


def _unleet(text: str) -> str:
    """Digits inside words are letters again; a number of digits alone stays a number."""
    return _LEET_WORD.sub(lambda word: word.group().translate(_UNLEET), text)


def _pig(word: str) -> str:
    start = next((place for place, letter in enumerate(word) if letter in _VOWELS), 0)
    return f"{word[start:]}-{word[:start]}ay"


def _reversed(text: str) -> str:
    return _WORD.sub(lambda word: word.group()[::-1], text)


DISGUISES: Final[dict[DisguiseName, Disguise]] = {
    "plain": Disguise(_same, _same),
    "leetspeak": Disguise(lambda text: text.translate(_LEET), _unleet),
    "pig_latin": Disguise(
        lambda text: _WORD.sub(lambda word: _pig(word.group()), text), lambda text: _PIG.sub(r"\g<start>\g<rest>", text)
    ),
    "capitals": Disguise(str.upper, _same),
    "reversed_words": Disguise(_reversed, _reversed),
    "prefix": Disguise(_same, _same),
}
"""Every disguise; `prefix` leaves the question as it is and puts a text of the item's own, such as examples, first."""
