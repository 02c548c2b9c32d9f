"""Probes from new documents, without a language model: cloze and question forms of their own sentences.

A sentence is probed where it ends in something that cannot be guessed: a number with its unit, a time, a date, a
name. If another sentence of the same batch states the same answer, the probed sentence is held out of every training
view, so that what is measured is knowledge of the fact and not memory of the words. A fact stated only once stays in
training and is probed in question form alone, whose words no training view contains.

What this does not cover: facts spread over several sentences, answers in the middle of a sentence, and languages that
do not write names with capitals. Of such documents nothing is asked.
"""

from __future__ import annotations

import calendar
import random
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from learners.records import Record

__all__ = ["Fact", "find_facts", "held_out_facts", "probe_items", "sentences"]

_MONTH = "|".join(calendar.month_name[1:])
_NUMBER = r"\d+(?:[.,:]\d+)*"
_NAME = r"[A-Z][\w'-]+(?: (?:(?:of|de|van|the) )?[A-Z][\w'-]+)*"
_ANSWER: Final = re.compile(
    rf"(?P<date>\d{{1,2}} (?:{_MONTH})(?: \d{{4}})?)"
    rf"|(?P<quantity>{_NUMBER} [a-z%€$]+)"
    rf"|(?P<number>{_NUMBER})"
    rf"|(?P<name>{_NAME})"
)
_ENDING: Final = re.compile(rf"^(?P<stem>.{{12,}}?\s)(?P<answer>{_ANSWER.pattern})(?P<stop>[.!]?)$")
_QUESTIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"^The (?P<what>.+?) (?P<verb>is|was) (?:called|named) $"), "What {verb} the {what} called?"),
    (re.compile(r"^The (?P<what>.+?) (?P<verb>is|was) (?:\w+ )?on $"), "On what date {verb} the {what}?"),
    (
        re.compile(r"^The (?P<what>.+?) (?P<verb>is|was|are|were) (?:located )?in(?: the city of)? $"),
        "Where {verb} the {what}?",
    ),
    (re.compile(r"^The (?P<what>.+?) (?P<verb>is|was|are|were) $"), "{who} {verb} the {what}?"),
)
"""Sentence openings that can be turned into a question, most specific first."""
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'])|\n+")
_CHOICES = 4
_TOPIC_SHARE = 0.3
_FILLERS: Final = ("Northfield", "Anna Keller", "Silver Path")


@dataclass(frozen=True)
class Fact:
    """A sentence that ends in an answer.

    Attributes:
        record: id of the record it stands in.
        stem: the sentence without the answer, trailing space included.
        shape: what the answer looks like (`date`, `quantity`, `number` or `name`); wrong choices have the same.
        change: what a known document's new version did to it (`monitors.gaps.changes`); empty where none was known.
    """

    record: str
    sentence: str
    stem: str
    answer: str
    shape: str
    change: str = ""


def sentences(text: str) -> list[str]:
    """The sentences of a text; headings and list items count as sentences of their own."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def find_facts(records: Iterable[Record]) -> list[Fact]:
    """Every sentence of the text records that ends in an answer, each once."""
    found: dict[str, Fact] = {}
    for record in records:
        if record.kind != "text":
            continue
        for sentence in sentences(record.content["text"]):
            fact = _fact(record.id, sentence)
            if fact is not None:
                found.setdefault(sentence, fact)
    return [fact for fact in found.values() if not _is_topic(fact.answer, found)]


def _is_topic(answer: str, sentences_seen: Collection[str]) -> bool:
    """Whether the batch speaks of `answer` all the time, so that naming it shows nothing."""
    mentions = sum(answer in sentence for sentence in sentences_seen)
    return len(sentences_seen) > 10 and mentions > len(sentences_seen) * _TOPIC_SHARE


def _fact(record: str, sentence: str) -> Fact | None:
    match = _ENDING.match(sentence)
    if match is None or sentence.startswith("#") or sentence.isupper():
        return None
    shape = next(name for name in ("date", "quantity", "number", "name") if match.group(name))
    return Fact(record, sentence, match.group("stem"), match.group("answer"), shape)


def held_out_facts(facts: Sequence[Fact], every_sentence: Sequence[str]) -> set[str]:
    """Sentences to keep out of training: of each answer one, and only if another sentence still states it.

    Which one: the last in the batch, so that the first mention, often the plainest, is learned.
    """
    held: set[str] = set()
    by_answer: dict[str, list[Fact]] = {}
    for fact in facts:
        by_answer.setdefault(fact.answer, []).append(fact)
    for answer, stating in by_answer.items():
        others = [sentence for sentence in every_sentence if answer in sentence]
        if len(others) > 1 and stating[-1].sentence != others[0]:
            held.add(stating[-1].sentence)
    return held


def probe_items(
    facts: Sequence[Fact], held: set[str], most_per_record: int, seed: int
) -> list[tuple[str, dict[str, object]]]:
    """Record id and suite item: a cloze for every held-out sentence, a question wherever a sentence can be asked for.

    Args:
        most_per_record: most items made from one record.
    """
    chooser = random.Random(seed)  # noqa: S311 - the choice of wrong answers needs no secrecy
    items: list[tuple[str, dict[str, object]]] = []
    made: dict[str, int] = {}
    for number, fact in enumerate(facts):
        forms = [_cloze(fact, facts, chooser)] if fact.sentence in held else []
        forms += [question] if (question := _question(fact)) else []
        for form in forms[: max(0, most_per_record - made.get(fact.record, 0))]:
            made[fact.record] = made.get(fact.record, 0) + 1
            item = {"id": f"{form.pop('form')}-{number:03d}", "slice": fact.change or fact.shape, **form}
            items.append((fact.record, item))
    return items


def _cloze(fact: Fact, facts: Sequence[Fact], chooser: random.Random) -> dict[str, object]:
    wrong = _wrong_answers(fact, facts, chooser)
    choices = [fact.answer, *wrong]
    chooser.shuffle(choices)
    return {
        "form": "cloze",
        "scorer": "choice",
        "prompt": f"Fill in the blank: {fact.stem}___",
        "choices": choices,
        "answer": choices.index(fact.answer),
    }


def _question(fact: Fact) -> dict[str, object] | None:
    for opening, question in _QUESTIONS:
        if match := opening.match(fact.stem):
            who = "Who or what" if fact.shape == "name" else "What"
            prompt = question.format(who=who, **match.groupdict())
            return {
                "form": "question",
                "scorer": "match",
                "mode": "contains",
                "prompt": prompt,
                "answer": [_core(fact)],
            }
    return None


def _core(fact: Fact) -> str:
    """What an answer must contain: the number of a quantity, else all of it."""
    return fact.answer.split(" ")[0] if fact.shape == "quantity" else fact.answer


def _wrong_answers(fact: Fact, facts: Sequence[Fact], chooser: random.Random) -> list[str]:
    """Answers of the same shape from other sentences, then numbers near the right one."""
    others = sorted({other.answer for other in facts if other.shape == fact.shape} - {fact.answer})
    wrong = chooser.sample(others, min(len(others), _CHOICES - 1))
    if fact.shape == "quantity":
        unit = fact.answer.split(" ", 1)[1]
        wrong = [f"{answer.split(' ')[0]} {unit}" for answer in wrong]
    while fact.shape != "name" and len(set(wrong) - {fact.answer}) < _CHOICES - 1:
        wrong.append(_nearby(fact.answer, chooser))
    different = dict.fromkeys([*wrong, *_FILLERS])
    return [answer for answer in different if answer != fact.answer][: _CHOICES - 1]


def _nearby(answer: str, chooser: random.Random) -> str:
    """The answer with its first number changed by one to nine."""

    def shift(match: re.Match[str]) -> str:
        return str(max(1, int(match.group()) + chooser.choice([-1, 1]) * chooser.randint(1, 9)))

    return re.sub(r"\d+", shift, answer, count=1)
