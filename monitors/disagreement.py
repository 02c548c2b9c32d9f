"""Disagreement between groups of people: the prompts to whose answers they react in opposite ways, with the counts.

Owns when an answer is disputed: most of one group's judgements are for it and most of another's against it. Prompts
are compared by their words, and by their meaning where somebody says which ask the same (`monitors.alike`); answers
word for word (`learners.parts.judgements`), so groups that saw different answers are not compared. Equal judgements of
one group are one record, so the counts are of different judgements. What becomes of disputed records is decided
elsewhere (`agent.disagreement`); pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from learners.parts.judgements import Judgement, judgements
from learners.records import Record

__all__ = ["Answer", "Dispute", "Side", "Tally", "dispute_id"]

_CONFIDENCE = 0.95
_ID_DIGITS = 12


@dataclass(frozen=True)
class Side:
    """What one group says of an answer.

    Attributes:
        wanted, judged: judgements for it, and all.
        low, high: Clopper-Pearson bounds of the share that is for it, 95 % together.
    """

    group: str
    wanted: int
    judged: int
    low: float
    high: float


@dataclass(frozen=True)
class Answer:
    """A disputed answer.

    Attributes:
        p_value: the least of Fisher's exact tests, two-sided, of every two groups, times their number (Bonferroni): at
            most how often groups that agree would differ as much by chance. Few judgements prove little; they are
            disputed all the same.
    """

    text: str
    sides: tuple[Side, ...]
    p_value: float


@dataclass(frozen=True)
class Dispute:
    """A prompt whose answers groups judge in opposite ways.

    Attributes:
        id: of the prompt, equal for all that say the same.
        prompt: as it was first asked: its last turn.
        wordings: the other ways in which it was asked.
    """

    id: str
    prompt: str
    answers: tuple[Answer, ...]
    wordings: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Those that judged a disputed answer, sorted."""
        return tuple(sorted({side.group for answer in self.answers for side in answer.sides}))


@dataclass
class _Judged:
    """Judgements of one answer: [against, for] of each group."""

    prompt: str
    text: str
    groups: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def majority(self, group: str) -> bool | None:
        """Whether a group is for the answer; None where it is even or silent."""
        against, wanted = self.groups.get(group, [0, 0])
        return None if against == wanted else wanted > against

    @property
    def disputed(self) -> bool:
        """Whether two groups are on opposite sides."""
        return {True, False} <= {self.majority(group) for group in self.groups}


class Tally:
    """Judgements by prompt, answer and group.

    Args:
        records: those without a group count for nobody.
        same: prompt -> the first prompt that asks the same in other words, by their keys.
    """

    def __init__(self, records: Iterable[Record], same: Mapping[str, str] | None = None) -> None:
        self._prompts: dict[str, dict[str, _Judged]] = {}
        self._wordings: dict[str, dict[str, str]] = {}
        self._same = same or {}
        for record in records:
            for one, text in zip(judgements(record), _texts(record), strict=True):
                if one.group is not None:
                    self._count(one, one.group, str(record.content["prompt"][-1]["content"]), text)

    def _count(self, one: Judgement, group: str, prompt: str, text: str) -> None:
        name = self._id(one.prompt)
        self._wordings.setdefault(name, {}).setdefault(one.prompt, prompt)
        answers = self._prompts.setdefault(name, {})
        judged = answers.setdefault(one.answer, _Judged(prompt, text))
        judged.groups.setdefault(group, [0, 0])[one.wanted] += 1

    def _id(self, prompt: str) -> str:
        return dispute_id(self._same.get(prompt, prompt))

    def disputed(self) -> frozenset[str]:
        """Ids of the prompts with a disputed answer."""
        return frozenset(
            name for name, answers in self._prompts.items() if any(one.disputed for one in answers.values())
        )

    def disputes(self) -> tuple[Dispute, ...]:
        """The disputed prompts with their counts, most judgements first."""
        found = [_dispute(name, self._prompts[name], self._wordings[name]) for name in self.disputed()]
        return tuple(sorted(found, key=lambda one: (-_judged(one), one.id)))

    def agrees(self, record: Record, group: str) -> bool:
        """Whether a record says of every answer in it what most of `group` says."""
        return all(self._majority(one, group) is one.wanted for one in judgements(record))

    def groups(self, name: str) -> frozenset[str]:
        """Groups that judged any answer to a prompt, by its id."""
        return frozenset(group for one in self._prompts.get(name, {}).values() for group in one.groups)

    def _majority(self, one: Judgement, group: str) -> bool | None:
        judged = self._prompts.get(self._id(one.prompt), {}).get(one.answer)
        return judged.majority(group) if judged else None


def dispute_id(prompt_key: str) -> str:
    """Twelve hex digits that name a prompt."""
    return hashlib.sha256(prompt_key.encode()).hexdigest()[:_ID_DIGITS]


def _texts(record: Record) -> tuple[str, ...]:
    names = {"preference": ("chosen", "rejected"), "feedback": ("completion",)}.get(record.kind, ())
    return tuple(str(record.content[name][-1]["content"]) for name in names)


def _dispute(name: str, answers: Mapping[str, _Judged], wordings: Mapping[str, str]) -> Dispute:
    disputed = [one for one in answers.values() if one.disputed]
    prompt, *others = wordings.values()
    return Dispute(name, prompt, tuple(_answer(one) for one in disputed), tuple(others))


def _judged(dispute: Dispute) -> int:
    return sum(side.judged for answer in dispute.answers for side in answer.sides)


def _answer(judged: _Judged) -> Answer:
    from scipy.stats import fisher_exact

    sides = tuple(_side(group, *counts) for group, counts in sorted(judged.groups.items()))
    pairs = [[[side.wanted, side.judged - side.wanted] for side in pair] for pair in combinations(sides, 2)]
    tests: list[Any] = [fisher_exact(pair) for pair in pairs]
    return Answer(judged.text, sides, min(1.0, len(tests) * min(float(test.pvalue) for test in tests)))


def _side(group: str, against: int, wanted: int) -> Side:
    from scipy.stats import binomtest

    bounds: Any = binomtest(wanted, against + wanted).proportion_ci(_CONFIDENCE, method="exact")
    return Side(group, wanted, against + wanted, float(bounds.low), float(bounds.high))
