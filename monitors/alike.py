"""Prompts that ask the same in other words, as far as that decides whether groups of people disagree.

Owns when two prompts of judged answers are one question: an answer to both is word for word the same and judged for and
against by different groups, what was said before is the same, their last turns hold the same numbers and both or
neither say no, and the vectors of these turns are near. Nothing else is embedded, so the work is that of possible
disputes and not of a whole log. Nearness of meaning joins what it should not now and then ("for a customer" and "for a
supplier"); a person sees every wording before a decision is made, which is why it may ask and never decides.

The bound was set on a dozen pairs of each kind (`tests/monitors/test_alike.py` keeps some): of those that ask the same
eight lay above it and four between 0.67 and 0.79, and of those that do not the nearest at 0.82. Pure; called by
`agent.disagreement`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from learners.parts.judgements import judgements, prompt_key
from learners.records import Record

if TYPE_CHECKING:
    from monitors.embedding import Vectors

__all__ = ["Embed", "alike"]

Embed = Callable[[Sequence[str]], "Vectors"]
"""Texts to normalised vectors [n, d]."""

_SAME: Final = 0.83
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_WORD: Final = re.compile(r"\w+")
_MOST_PROMPTS: Final = 400
"""Of an answer that more prompts share ("Yes."), the newest ones are compared with one another."""
_NO: Final = frozenset({
    "not", "no", "never", "none", "without", "nor", "cannot", "t", "forbidden", "prohibited",
    "nicht", "nie", "kein", "keine", "keinen", "ohne", "verboten",
})  # fmt: skip
"""Words that turn a question round, for which an embedder is nearly blind; "t" as in "don't"."""


class _Prompt(NamedTuple):
    """What is compared of a prompt: what was said before, the last turn, its numbers, and whether it says no."""

    before: str
    text: str
    numbers: frozenset[str]
    denies: bool


def alike(records: Iterable[Record], embed: Embed) -> dict[str, str]:
    """Prompt -> the first prompt that asks the same in other words, for every prompt that has one.

    Args:
        records: judged answers in the order of their arrival; those without a group count for nobody.
        embed: see `Embed`.

    Returns:
        Keys of prompts (`learners.parts.judgements.prompt_key`); chains lead to one prompt.
    """
    prompts, answers = _gathered(records)
    order = {key: place for place, key in enumerate(prompts)}
    pairs = {pair for judged in answers.values() for pair in _opposed(judged, prompts)}
    texts = sorted({prompts[key].text for pair in pairs for key in pair})
    if not texts:
        return {}
    vector = dict(zip(texts, embed(texts), strict=True))
    first: dict[str, str] = {}
    for one, other in sorted(pairs, key=lambda pair: (order[pair[0]], order[pair[1]])):
        if float(vector[prompts[one].text] @ vector[prompts[other].text]) >= _SAME:
            _join(first, *sorted((_root(first, one), _root(first, other)), key=order.__getitem__))
    return {key: _root(first, key) for key in first}


def _gathered(records: Iterable[Record]) -> tuple[dict[str, _Prompt], dict[str, dict[str, set[tuple[str, bool]]]]]:
    """The prompts, and for each answer what groups say of it by prompt."""
    prompts: dict[str, _Prompt] = {}
    answers: dict[str, dict[str, set[tuple[str, bool]]]] = {}
    for record in records:
        for one in judgements(record):
            if one.group is not None:
                prompts.setdefault(one.prompt, _prompt(record))
                answers.setdefault(one.answer, {}).setdefault(one.prompt, set()).add((one.group, one.wanted))
    return prompts, answers


def _prompt(record: Record) -> _Prompt:
    *before, last = record.content["prompt"]
    text = str(last["content"])
    words = frozenset(_WORD.findall(text.casefold()))
    return _Prompt(prompt_key(before), text, frozenset(_NUMBER.findall(text)), not words.isdisjoint(_NO))


def _opposed(judged: Mapping[str, set[tuple[str, bool]]], prompts: Mapping[str, _Prompt]) -> Iterable[tuple[str, str]]:
    """Pairs of prompts, the earlier one first, to which an answer is judged in opposite ways by two groups."""
    for one, other in combinations(list(judged)[-_MOST_PROMPTS:], 2):
        apart = any(a != b and x is not y for a, x in judged[one] for b, y in judged[other])
        if apart and prompts[one][0] == prompts[other][0] and prompts[one][2:] == prompts[other][2:]:
            yield one, other


def _root(first: Mapping[str, str], key: str) -> str:
    while key in first:
        key = first[key]
    return key


def _join(first: dict[str, str], earlier: str, later: str) -> None:
    if earlier != later:
        first[later] = earlier
