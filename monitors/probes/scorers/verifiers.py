"""The 25 verifiable instructions of IFEval (Zhou et al. 2023, arXiv 2311.07911): one table, one line each.

Written after the authors' `instruction_following_eval` (Apache-2.0) from their definitions. Its two libraries need
downloads at run time, so ours differ from it in three places: sentences are split by a rule instead of NLTK's trained
model (which matters where abbreviations it does not know end a sentence), words in capitals are counted by a rule in
the manner of NLTK's word tokenizer, and keywords that are patterns are searched under a time limit. Languages are
told by the authors' library, `langdetect`, with a fixed seed. Called by the scorer `ifeval`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, cast

import regex

from monitors.probes.text import PATTERN_SECONDS, found, pattern_problem

__all__ = ["VERIFIERS", "Verifier", "follows", "loosened", "problem"]

Arguments = Mapping[str, Any]

_RELATIONS: Final = ("less than", "at least")
_ALLOWED: Final = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_CAPITALS: Final = regex.compile(r"(?:\p{L}\.){2,}|n't\b|'\w+|\w+(?:[-/]\w+)*", regex.IGNORECASE)
_ABBREVIATION: Final = regex.compile(
    r"(?:^|[\s(\"'“])(?:\p{L}|(?:\p{L}\.)+\p{L}|mr|mrs|ms|dr|prof|st|sr|jr|vs|no|inc|ltd|co|corp|gen|rev|fig|cf)\.$",
    regex.IGNORECASE,
)
_BREAK: Final = regex.compile(r"[.!?]+[\"'”’)\]*]*(?=\s|$)")
_FENCES: Final = ("```json", "```Json", "```JSON", "```")


@dataclass(frozen=True, slots=True)
class Verifier:
    """One instruction: the names of its arguments, and whether a text (stripped of nothing, not blank) follows it."""

    arguments: tuple[str, ...]
    holds: Callable[[str, Arguments], bool]


def follows(name: str, arguments: Arguments, text: str) -> bool:
    """Whether `text` follows the instruction `name`; a blank text follows none."""
    return bool(text.strip()) and VERIFIERS[name].holds(text, arguments)


def loosened(text: str) -> tuple[str, ...]:
    """The eight readings of a text that the loose accuracies allow: with or without first line, last line and `*`."""
    lines = text.split("\n")
    cuts = (text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])))
    return (*cuts, *(cut.replace("*", "") for cut in cuts))


def problem(name: str, arguments: Arguments) -> str | None:
    """Why an instruction with these arguments cannot be verified, or None."""
    wanted = VERIFIERS[name].arguments
    if set(arguments) != set(wanted):
        return f"{name!r} takes {', '.join(wanted) or 'no arguments'}, found {', '.join(arguments) or 'none'}"
    for key, value in arguments.items():
        if not _FORMS[key](value):
            return f"{name!r}: argument {key!r} cannot be {value!r}"
    if name in _NEEDS_LANGUAGE and find_spec("langdetect") is None:
        return f"{name!r} needs the package langdetect: pip install -e '.[ifeval]'"
    return None


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_pattern(value: object) -> bool:
    return isinstance(value, str) and _is_text(value) and pattern_problem(value) is None


def _are_patterns(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_pattern, cast(list[object], value)))


def _is_relation(value: object) -> bool:
    return value in _RELATIONS


_FORMS: Final[dict[str, Callable[[object], bool]]] = {
    "capital_frequency": _is_count,
    "capital_relation": _is_relation,
    "end_phrase": _is_text,
    "first_word": _is_text,
    "forbidden_words": _are_patterns,
    "frequency": _is_count,
    "keyword": _is_pattern,
    "keywords": _are_patterns,
    "language": _is_text,
    "let_frequency": _is_count,
    "let_relation": _is_relation,
    "letter": lambda value: isinstance(value, str) and len(value) == 1,
    "nth_paragraph": lambda value: _is_count(value) and value != 0,
    "num_bullets": _is_count,
    "num_highlights": _is_count,
    "num_paragraphs": _is_count,
    "num_placeholders": _is_count,
    "num_sections": _is_count,
    "num_sentences": _is_count,
    "num_words": _is_count,
    "postscript_marker": _is_text,
    "prompt_to_repeat": _is_text,
    "relation": _is_relation,
    "section_spliter": _is_pattern,
}
"""What each argument may be; an argument has one meaning in all instructions."""


def _compared(count: int, relation: str, wanted: int) -> bool:
    return count < wanted if relation == "less than" else count >= wanted


def _occurrences(pattern: str, text: str, flags: int = 0) -> int:
    try:
        return len(regex.findall(pattern, text, flags=flags, timeout=PATTERN_SECONDS))
    except TimeoutError:
        return 0


def _has_all(text: str, given: Arguments) -> bool:
    return all(found(keyword, text, flags=regex.IGNORECASE) for keyword in given["keywords"])


def _has_none(text: str, given: Arguments) -> bool:
    return not any(found(rf"\b(?:{word})\b", text, flags=regex.IGNORECASE) for word in given["forbidden_words"])


def _keyword_frequency(text: str, given: Arguments) -> bool:
    return _compared(_occurrences(given["keyword"], text, regex.IGNORECASE), given["relation"], given["frequency"])


def _letter_frequency(text: str, given: Arguments) -> bool:
    count = text.lower().count(given["letter"].lower())
    return _compared(count, given["let_relation"], given["let_frequency"])


def _capital_words(text: str, given: Arguments) -> bool:
    count = sum(map(str.isupper, _CAPITALS.findall(text)))
    return _compared(count, given["capital_relation"], given["capital_frequency"])


def _words(text: str, given: Arguments) -> bool:
    return _compared(len(regex.findall(r"\w+", text)), given["relation"], given["num_words"])


def _sentences(text: str, given: Arguments) -> bool:
    ends = [end.end() for end in _BREAK.finditer(text) if not _ABBREVIATION.search(text[: end.end()])]
    rest = text[ends[-1] if ends else 0 :].strip()
    return _compared(len(ends) + bool(rest), given["relation"], given["num_sentences"])


def _paragraphs(text: str, given: Arguments) -> bool:
    """Paragraphs divided by `***`; an empty one counts as missing, and is an error between others."""
    parts = regex.split(r"\s?\*\*\*\s?", text)
    if any(not part.strip() for part in parts[1:-1]):
        return False
    return sum(bool(part.strip()) for part in parts) == given["num_paragraphs"]


def _first_word(text: str, given: Arguments) -> bool:
    """Paragraphs divided by two new lines; the nth begins with a word."""
    parts = regex.split(r"\n\n", text)
    count, nth = sum(bool(part.strip()) for part in parts), given["nth_paragraph"]
    if nth > count or not parts[nth - 1].strip():
        return False
    word = parts[nth - 1].split()[0].lstrip("'").lstrip('"')
    first = regex.match(r"[^.,?!'\"]*", word)
    return (
        count == given["num_paragraphs"] and first is not None and first.group().lower() == given["first_word"].lower()
    )


def _bullets(text: str, given: Arguments) -> bool:
    stars = regex.findall(r"^\s*\*[^\*].*$", text, flags=regex.MULTILINE)
    dashes = regex.findall(r"^\s*-.*$", text, flags=regex.MULTILINE)
    return len(stars) + len(dashes) == given["num_bullets"]


def _highlights(text: str, given: Arguments) -> bool:
    single = [part for part in regex.findall(r"\*[^\n\*]*\*", text) if part.strip("*").strip()]
    double = [part for part in regex.findall(r"\*\*[^\n\*]*\*\*", text) if part[2:-2].strip()]
    return len(single) + len(double) >= given["num_highlights"]


def _sections(text: str, given: Arguments) -> bool:
    return _occurrences(rf"\s?{given['section_spliter']}\s?\d+\s?", text) >= given["num_sections"]


def _is_json(text: str, _: Arguments) -> bool:
    bare = text.strip()
    for fence in _FENCES:
        bare = bare.removeprefix(fence)
    try:
        json.loads(bare.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _titled(text: str, _: Arguments) -> bool:
    return any(title.lstrip("<").rstrip(">").strip() for title in regex.findall(r"<<[^\n]+>>", text))


def _postscript(text: str, given: Arguments) -> bool:
    marker = given["postscript_marker"]
    known = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}
    pattern = known.get(marker, rf"\s*{regex.escape(marker.lower())}.*$")
    return found(pattern, text.lower(), flags=regex.MULTILINE)


def _two_responses(text: str, _: Arguments) -> bool:
    parts = text.split("******")
    if any(not part.strip() for part in parts[1:-1]):
        return False
    answers = [part.strip() for part in parts if part.strip()]
    return len(answers) == 2 and answers[0] != answers[1]


def _repeats(text: str, given: Arguments) -> bool:
    return text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())


def _ends(text: str, given: Arguments) -> bool:
    return text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())


def _quoted(text: str, _: Arguments) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


def _in_language(text: str, language: str) -> bool:
    """A text without a language, such as digits alone, counts as followed, as the authors have it."""
    from langdetect import DetectorFactory, detect  # pyright: ignore[reportMissingImports]
    from langdetect.lang_detect_exception import LangDetectException  # pyright: ignore[reportMissingImports]

    DetectorFactory.seed = 0
    try:
        return detect(text) == language
    except LangDetectException:
        return True


_NEEDS_LANGUAGE: Final = frozenset(
    {"change_case:english_capital", "change_case:english_lowercase", "language:response_language"}
)

VERIFIERS: Final[dict[str, Verifier]] = {
    "change_case:capital_word_frequency": Verifier(("capital_relation", "capital_frequency"), _capital_words),
    "change_case:english_capital": Verifier((), lambda text, _: text.isupper() and _in_language(text, "en")),
    "change_case:english_lowercase": Verifier((), lambda text, _: text.islower() and _in_language(text, "en")),
    "combination:repeat_prompt": Verifier(("prompt_to_repeat",), _repeats),
    "combination:two_responses": Verifier((), _two_responses),
    "detectable_content:number_placeholders": Verifier(
        ("num_placeholders",), lambda text, given: len(regex.findall(r"\[.*?\]", text)) >= given["num_placeholders"]
    ),
    "detectable_content:postscript": Verifier(("postscript_marker",), _postscript),
    "detectable_format:constrained_response": Verifier((), lambda text, _: any(one in text for one in _ALLOWED)),
    "detectable_format:json_format": Verifier((), _is_json),
    "detectable_format:multiple_sections": Verifier(("section_spliter", "num_sections"), _sections),
    "detectable_format:number_bullet_lists": Verifier(("num_bullets",), _bullets),
    "detectable_format:number_highlighted_sections": Verifier(("num_highlights",), _highlights),
    "detectable_format:title": Verifier((), _titled),
    "keywords:existence": Verifier(("keywords",), _has_all),
    "keywords:forbidden_words": Verifier(("forbidden_words",), _has_none),
    "keywords:frequency": Verifier(("relation", "keyword", "frequency"), _keyword_frequency),
    "keywords:letter_frequency": Verifier(("letter", "let_relation", "let_frequency"), _letter_frequency),
    "language:response_language": Verifier(("language",), lambda text, given: _in_language(text, given["language"])),
    "length_constraints:nth_paragraph_first_word": Verifier(
        ("num_paragraphs", "nth_paragraph", "first_word"), _first_word
    ),
    "length_constraints:number_paragraphs": Verifier(("num_paragraphs",), _paragraphs),
    "length_constraints:number_sentences": Verifier(("relation", "num_sentences"), _sentences),
    "length_constraints:number_words": Verifier(("relation", "num_words"), _words),
    "punctuation:no_comma": Verifier((), lambda text, _: "," not in text),
    "startend:end_checker": Verifier(("end_phrase",), _ends),
    "startend:quotation": Verifier((), _quoted),
}
"""Every instruction by the id that IFEval's data give it."""
