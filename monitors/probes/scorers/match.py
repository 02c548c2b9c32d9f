"""Generated text compared with expected answers: equal, containing, by pattern, or as a number."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Literal, Self

import regex
from pydantic import field_validator, model_validator

from monitors.probes.probe import Answers, Probe, Score
from monitors.probes.text import found, pattern_problem

__all__ = ["Match"]

_NUMBER = regex.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w)")

# Scripts without spaces between words have no word ends to look for.
_LETTER = r"[\w--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]]"


class Match(Probe, frozen=True):
    """Scores 1 where the generated text matches one of the expected answers; a blank text matches none.

    Attributes:
        mode: `exact` - equal once case, outer white space and a closing full stop are ignored;
            `contains` - an answer stands in the text as whole words, case ignored;
            `regex` - an answer, as a pattern, is found (case matters unless the pattern says `(?i)`);
            `number` - the text's last number equals an answer within 1e-6 of its size.
        answer: one expected answer or several; any of them suffices.
    """

    generates = True

    scorer: Literal["match"] = "match"
    mode: Literal["exact", "contains", "regex", "number"] = "contains"
    answer: tuple[str, ...]

    @field_validator("answer", mode="before")
    @classmethod
    def _one_answer_is_a_list_of_one(cls, value: object) -> object:
        return value if isinstance(value, (list, tuple)) else (value,)

    @model_validator(mode="after")
    def _answers_fit_the_mode(self) -> Self:
        if not self.answer or not all(answer.strip() for answer in self.answer):
            raise ValueError("answer must hold at least one text that is not blank")
        for answer in self.answer:
            if self.mode == "number" and _numbers(answer) == []:
                raise ValueError(f"answer {answer!r} holds no number, which mode 'number' needs")
            if self.mode == "regex" and (problem := pattern_problem(answer)):
                raise ValueError(f"answer {answer!r} is no valid pattern: {problem}")
        return self

    @property
    def solution(self) -> str | None:
        """The first expected answer; a pattern is none."""
        return None if self.mode == "regex" else self.answer[0]

    def score(self, answers: Answers) -> Score:
        """Compare with each expected answer."""
        matches = _MODES[self.mode]
        said = bool(answers.text.strip())  # or a pattern such as ".*" would be met by silence
        right = said and any(matches(answers.text, answer) for answer in self.answer)
        return Score(float(right), output=answers.text)


def _exact(text: str, answer: str) -> bool:
    return _bare(text) == _bare(answer)


def _bare(text: str) -> str:
    return unicodedata.normalize("NFKC", text.strip()).removesuffix(".").strip().casefold()


def _contains(text: str, answer: str) -> bool:
    words = regex.escape(unicodedata.normalize("NFKC", answer).strip())
    within = unicodedata.normalize("NFKC", text)
    return found(f"(?V1)(?<!{_LETTER}){words}(?!{_LETTER})", within, flags=regex.IGNORECASE)


def _pattern(text: str, answer: str) -> bool:
    return found(answer, text)


def _number(text: str, answer: str) -> bool:
    numbers, wanted = _numbers(text), _numbers(answer)[-1]
    return bool(numbers) and abs(numbers[-1] - wanted) <= 1e-6 * max(1.0, abs(wanted))


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in _NUMBER.findall(text)]


_MODES: dict[str, Callable[[str, str], bool]] = {
    "contains": _contains,
    "exact": _exact,
    "number": _number,
    "regex": _pattern,
}
