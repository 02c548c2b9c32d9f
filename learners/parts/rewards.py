"""Rewards: what an answer of the model is worth, by rules that anyone can check by hand.

Owns the closed list `Reward`: a configuration names a rule by its `kind` and its numbers, never code. Each rule gives 0
to 1 for one answer; `total` adds them up by weight. Knows neither models nor tokens. Called by the methods that learn
from answers which the model itself gives (`learners.methods.ppo`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = ["Answer", "ContainsAnswer", "Finished", "Language", "Length", "Pattern", "Reward", "total"]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Answer:
    """One answer to a prompt.

    Attributes:
        text: without special tokens.
        expected: the approved answer that the record has; "" where it has none.
        finished: whether the model ended it by itself, before its room was used up.
    """

    text: str
    expected: str
    finished: bool


class _Rule(BaseModel):
    """What all rules have.

    Attributes:
        weight: of this rule in the sum; a negative one makes it a penalty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = 1.0


class Length(_Rule):
    """1 for a length within the band; below it falls to 0 at no word, above it to 0 at twice the upper bound."""

    kind: Literal["length"] = "length"
    least_words: int = Field(default=1, ge=1)
    most_words: int = Field(default=60, ge=1)

    @model_validator(mode="after")
    def _refuse_empty_band(self) -> Length:
        if self.least_words > self.most_words:
            raise ValueError(
                f"least_words={self.least_words!r} is above most_words={self.most_words!r}: no answer is that long"
            )
        return self

    def score(self, answer: Answer) -> float:
        """How near the number of words is to the band, in [0, 1]."""
        words = len(answer.text.split())
        if words > self.most_words:
            return max(0.0, 2.0 - words / self.most_words)
        return min(1.0, words / self.least_words)


class Pattern(_Rule):
    """1 where the regular expression (of Python's `re`) matches; `^` and `$` are the ends of the whole answer."""

    kind: Literal["pattern"] = "pattern"
    pattern: str = Field(min_length=1)

    @field_validator("pattern")
    @classmethod
    def _refuse_broken(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"pattern {pattern!r} is no regular expression: {error}") from error
        return pattern

    def score(self, answer: Answer) -> float:
        """1 or 0."""
        return float(re.search(self.pattern, answer.text.strip()) is not None)


class ContainsAnswer(_Rule):
    """1 where the words of the approved answer stand in the answer, in a row; 0 where the record has none."""

    kind: Literal["contains_answer"] = "contains_answer"

    def score(self, answer: Answer) -> float:
        """1 or 0; case and punctuation do not count."""
        wanted = _words(answer.expected)
        return float(bool(wanted) and f" {wanted} " in f" {_words(answer.text)} ")


class Language(_Rule):
    """1 for an answer in the language, as the package `langdetect` tells it, with a fixed seed."""

    kind: Literal["language"] = "language"
    language: str = Field(pattern="^[a-z]{2}(-[a-z]{2})?$")

    @field_validator("language")
    @classmethod
    def _refuse_without_detector(cls, language: str) -> str:
        if find_spec("langdetect") is None:
            raise ValueError("reward 'language' needs the package langdetect: pip install -e '.[ifeval]'")
        return language

    def score(self, answer: Answer) -> float:
        """1 or 0; 0 for an answer without a letter."""
        return float(_language(answer.text) == self.language)


class Finished(_Rule):
    """1 for an answer that the model ended by itself, 0 for one that was cut off."""

    kind: Literal["finished"] = "finished"

    def score(self, answer: Answer) -> float:
        """1 or 0."""
        return float(answer.finished)


Reward = Annotated[Length | Pattern | ContainsAnswer | Language | Finished, Field(discriminator="kind")]
"""Every rule there is, chosen by `kind`."""


def total(rules: Sequence[Reward]) -> Callable[[Sequence[Answer]], list[float]]:
    """The weighted sum of rules, as `Recipe.reward` wants it."""
    return lambda answers: [sum(rule.weight * rule.score(answer) for rule in rules) for answer in answers]


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


def _language(text: str) -> str:
    from langdetect import DetectorFactory, detect  # pyright: ignore[reportMissingImports]
    from langdetect.lang_detect_exception import LangDetectException  # pyright: ignore[reportMissingImports]

    DetectorFactory.seed = 0
    try:
        return str(detect(text)).lower()
    except LangDetectException:  # nothing in it that has a language
        return ""
