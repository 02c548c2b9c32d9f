"""Machine-checkable properties of a text, in the manner of IFEval (Zhou et al. 2023), for `instruction` probes.

Owns the closed table `CHECKS`; a check is a pure function of the stripped text, which is not empty, and its value.
Unless a check says otherwise, case is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import regex

from monitors.probes.text import found, pattern_problem

__all__ = ["CHECKS", "Check", "value_problem"]

ValueForm = Literal["true", "text", "texts", "count", "integer", "pattern", "occurrences"]

_LISTED = regex.compile(r"\s*(?:[-*•](?!\*))\s*\S")
_NUMBERED = regex.compile(r"\s*\d+[.)]\s")
_WORD = regex.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE_END = regex.compile(r"(?<=[.!?])[\"”’)]*\s+")
_FENCE = regex.compile(r"```(?:json)?\s*(.*?)\s*```", regex.DOTALL)


@dataclass(frozen=True, slots=True)
class Check:
    """One property: the form of its value, and the test of (text, value)."""

    value: ValueForm
    holds: Callable[[str, Any], bool]


def value_problem(kind: str, value: object) -> str | None:
    """Why `value` does not fit the check `kind`, or None."""
    form = CHECKS[kind].value
    if form == "pattern" and isinstance(value, str):
        problem = pattern_problem(value)
        return f"{value!r} is no valid pattern: {problem}" if problem else None
    return None if _FITS[form](value) else f"takes {_FORMS[form]}, not {value!r}"


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, cast(list[object], value)))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_integer(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_count(value: object) -> bool:
    if not isinstance(value, dict):
        return _is_integer(value)
    bounds = cast(dict[str, object], value)
    return bool(bounds) and set(bounds) <= {"min", "max"} and all(map(_is_integer, bounds.values()))


def _is_occurrences(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    parts = cast(dict[str, object], value)
    return set(parts) == {"text", "count"} and _is_text(parts["text"]) and _is_integer(parts["count"])


_FITS: dict[ValueForm, Callable[[object], bool]] = {
    "true": lambda value: value is True,
    "text": _is_text,
    "texts": lambda value: _is_text(value) or _is_texts(value),
    "count": _is_count,
    "integer": _is_integer,
    "pattern": _is_text,
    "occurrences": _is_occurrences,
}

_FORMS: dict[ValueForm, str] = {
    "true": "the value true",
    "text": "a text",
    "texts": "a text or a list of texts",
    "count": "a number or {min: number, max: number}",
    "integer": "a number",
    "pattern": "a regular expression",
    "occurrences": "{text: text, count: number}",
}


def _within(count: int, wanted: int | dict[str, int]) -> bool:
    if isinstance(wanted, int):
        return count == wanted
    return wanted.get("min", 0) <= count <= wanted.get("max", count)


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_END.split(text) if _WORD.search(part)]


def _paragraphs(text: str) -> list[str]:
    return [part for part in regex.split(r"\n\s*\n", text) if part.strip()]


def _has_letters(text: str) -> bool:
    return any(character.isalpha() for character in text)


def _as_json(text: str) -> object:
    fenced = _FENCE.fullmatch(text)
    try:
        return json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return None


def _json_has_keys(text: str, keys: str | list[str]) -> bool:
    value = _as_json(text)
    return isinstance(value, dict) and set(cast(dict[str, object], value)) == set(_texts(keys))


def _json_has_items(text: str, count: int) -> bool:
    value = _as_json(text)
    return isinstance(value, list) and len(cast(list[object], value)) == count


def _is_one_of(text: str, words: str | list[str]) -> bool:
    return text.rstrip(".").strip().lower() in {word.lower().rstrip(".") for word in _texts(words)}


def _is_wrapped(text: str, mark: str) -> bool:
    return len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark)


CHECKS: dict[str, Check] = {
    "bullet_count": Check("count", lambda text, n: _within(sum(map(bool, map(_LISTED.match, _lines(text)))), n)),
    "contains": Check("texts", lambda text, v: all(part.lower() in text.lower() for part in _texts(v))),
    "contains_any": Check("texts", lambda text, v: any(part.lower() in text.lower() for part in _texts(v))),
    "contains_cased": Check("texts", lambda text, v: all(part in text for part in _texts(v))),
    "count_of": Check("occurrences", lambda text, v: text.lower().count(v["text"].lower()) == v["count"]),
    "ends_with": Check("texts", lambda text, v: text.lower().endswith(tuple(part.lower() for part in _texts(v)))),
    "excludes": Check("texts", lambda text, v: not any(p.lower() in text.lower() for p in _texts(v))),
    "json_keys": Check("texts", _json_has_keys),
    "json_list": Check("integer", _json_has_items),
    "line_count": Check("count", lambda text, n: _within(len(_lines(text)), n)),
    "lowercase": Check("true", lambda text, _: text == text.lower() and _has_letters(text)),
    "no_comma": Check("true", lambda text, _: "," not in text),
    "no_digit": Check("true", lambda text, _: not any(map(str.isdigit, text))),
    "numbered_count": Check("count", lambda text, n: _within(sum(map(bool, map(_NUMBERED.match, _lines(text)))), n)),
    "one_of": Check("texts", _is_one_of),
    "paragraph_count": Check("count", lambda text, n: _within(len(_paragraphs(text)), n)),
    "regex": Check("pattern", lambda text, pattern: found(pattern, text)),
    "repeat_prompt_first": Check("text", lambda text, start: text.lower().startswith(start.lower())),
    "sentence_count": Check("count", lambda text, n: _within(len(_sentences(text)), n)),
    "starts_with": Check("texts", lambda text, v: text.lower().startswith(tuple(part.lower() for part in _texts(v)))),
    "uppercase": Check("true", lambda text, _: text == text.upper() and _has_letters(text)),
    "word_count": Check("count", lambda text, n: _within(len(_WORD.findall(text)), n)),
    "wrapped_in": Check("text", _is_wrapped),
}
