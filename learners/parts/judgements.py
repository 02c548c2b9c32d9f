"""Judgements: what a preference or feedback says of answers, and which group of people says it.

Owns when two judgements are about the same prompt and the same answer: prompts are compared by their words alone,
whatever their case, punctuation and spacing, answers word for word. Learns nothing and decides nothing. Used by
`learners.methods.kto`, by the planner, and by whoever asks whether groups disagree.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from learners.records import Record

__all__ = ["Judgement", "judgements", "lacking", "prompt_key"]

Messages = Sequence[Mapping[str, Any]]

_WORDS = re.compile(r"\w+")


class Judgement(NamedTuple):
    """One answer that was wanted or not.

    Attributes:
        prompt, answer: keys, equal where prompts and answers are.
        group: whose word it is; None where the record does not say.
    """

    prompt: str
    answer: str
    wanted: bool
    group: str | None


def judgements(record: Record) -> tuple[Judgement, ...]:
    """Of feedback the judged answer, of a preference both answers, of any other record nothing."""
    content = record.content
    if record.kind == "preference":
        sides = (("chosen", True), ("rejected", False))
    elif record.kind == "feedback":
        sides = (("completion", bool(content["label"])),)
    else:
        return ()
    prompt, group = prompt_key(content["prompt"]), content.get("group")
    return tuple(Judgement(prompt, _answer_key(content[name]), wanted, group) for name, wanted in sides)


def lacking(records: Iterable[Record]) -> str | None:
    """What must be added to records before the judged answers among them can be learned; None if nothing.

    Disapproval alone says what not to answer and nothing of what to answer, and the divergence from the parent is
    estimated on answers to other prompts (`learners.methods.kto`). Approval alone can be learned.
    """
    mine = list(records)
    if not any(record.kind == "feedback" for record in mine):
        return None
    found = [one for record in mine for one in judgements(record)]
    if not any(one.wanted for one in found):
        return (
            f"all {len(found)} judged answers are disapproved, which says nothing of what to answer instead; add "
            "answers that people approved, or their edits"
        )
    if len({one.prompt for one in found}) < 2:
        return f"all {len(found)} judged answers are to one prompt; add judged answers to at least one other prompt"
    return None


def prompt_key(prompt: Messages) -> str:
    """Equal for prompts that say the same in the same roles, whatever their case, punctuation and spacing."""
    return "\n".join(f"{turn['role']}: {_words(str(turn['content']))}" for turn in prompt)


def _words(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_WORDS.findall(plain)) or plain.strip()


def _answer_key(answer: Messages) -> str:
    return "\n".join(f"{turn['role']}: {' '.join(str(turn['content']).split())}" for turn in answer)
