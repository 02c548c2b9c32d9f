"""Rationales: why an answer is right, brought with a record or written by the parent model, kept where they hold.

Owns `memory/rationales.json` (record id -> rationale), the form of an answer that is reasoned, and the verifier: a
rationale counts only where its own final answer is the record's. Record ids are content hashes, so what one version
wrote its descendants find. Used by the methods that learn from reasons; a record without one is learned plainly.

A record of kind `instruction` brings a rationale as `content["rationale"]`, which is how those of a larger model, or of
people, come in.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learners.parts.views import spoken
from learners.records import Record
from learners.seeding import answers

if TYPE_CHECKING:
    from learners.methods.contract import Sources

__all__ = ["REQUEST", "Teacher", "accepted", "answer_of", "asked", "final_answer", "gathered", "parent", "read",
           "reasoned", "write"]  # fmt: skip

_FILE = "rationales.json"
_FINAL = re.compile(
    r"^[ \t]*(?:the |final )*answer(?:[ \t]+is\b[ \t]*:?|[ \t]*:)[ \t]*(.+)$", re.IGNORECASE | re.MULTILINE
)
_log = logging.getLogger(__name__)

REQUEST = "Reason step by step. Then write one last line: Answer: and the answer."
"""What follows a question that is to be answered with reasons."""

Teacher = Callable[[Sequence[Sequence[dict[str, Any]]]], Sequence[str]]
"""Conversations that end with a turn of the user -> what is answered to each."""


def read(folder: Path) -> dict[str, str]:
    """Record id -> the rationale that an ancestor's job wrote; empty where none did."""
    path = folder / _FILE
    return json.loads(path.read_bytes()) if path.exists() else {}


def write(folder: Path, known: dict[str, str]) -> None:
    """Write them into a `memory/` folder that is being built."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(known, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / _FILE).write_text(text, encoding="utf-8")


def answer_of(record: Record) -> str:
    """The last turn's words."""
    return spoken(record)[-1].strip()


def reasoned(rationale: str, answer: str) -> str:
    """Reasons first, then the answer, in the form that `final_answer` reads."""
    return f"{rationale}\n\nAnswer: {answer}"


def final_answer(text: str) -> str | None:
    """What the last line of the form `Answer: ...` or `The answer is ...` names; None where there is no such line."""
    found = _FINAL.findall(text)
    return found[-1].strip() if found else None


def accepted(text: str, answer: str, *, concluded: bool) -> str | None:
    """The verifier: the reasons of a text, without its conclusion, if this is the record's answer.

    Args:
        answer: of the record.
        concluded: a text without a final answer is refused, as one is that the model wrote and did not end.

    Returns:
        None where the text concludes otherwise, or has no reasons.
    """
    found = final_answer(text)
    if found is None:
        return None if concluded else text.strip() or None
    if _bare(found) != _bare(answer):
        return None
    *_, last = _FINAL.finditer(text)
    return text[: last.start()].strip() or None


def _bare(answer: str) -> str:
    return " ".join(answer.casefold().split()).strip(" .\"'`*")


def asked(record: Record, request: str) -> list[dict[str, Any]]:
    """The record's conversation up to its answer, with a request at the end of the question."""
    *turns, question, _ = record.content["messages"]
    return [*turns, {**question, "content": f"{question['content']}\n\n{request}"}]


def gathered(
    records: Sequence[Record],
    known: dict[str, str],
    teacher: Teacher | None,
    request: Callable[[Record], str],
    most: int = 500,
) -> dict[str, str]:
    """Rationales of the records: what is known, what they bring, and what a teacher writes for the rest.

    Args:
        known: record id -> rationale.
        teacher: None where nobody writes any.
        request: what the teacher is asked of a record, beside its question.
        most: records that the teacher is asked about, the first ones.

    Returns:
        `known` and what was accepted beside it. How many records stay without one is told in the log.
    """
    found = dict(known)
    open_ = [record for record in records if record.kind == "instruction" and record.id not in found]
    written = [record for record in open_ if not record.content.get("rationale")]
    texts = {record.id: str(record.content["rationale"]) for record in open_ if record.content.get("rationale")}
    if teacher and (written := written[:most]):
        said = teacher([asked(record, request(record)) for record in written])
        texts |= {record.id: text for record, text in zip(written, said, strict=True)}
    for record in open_:
        concluded = not record.content.get("rationale")
        if record.id in texts and (why := accepted(texts[record.id], answer_of(record), concluded=concluded)):
            found[record.id] = why
    if missing := sum(record.id not in found for record in records):
        _log.warning("no rationale was accepted for %d of %d records", missing, len(records))
    return found


def parent(sources: Sources, most_tokens: int) -> Teacher | None:
    """The parent model as the teacher, loaded when it is first asked; None for no tokens.

    Args:
        most_tokens: longest rationale with its answer.
    """
    if most_tokens == 0:
        return None
    model = cache(sources.model)
    return lambda conversations: [text for text, _ in answers(model(), sources.tokenizer, conversations, most_tokens)]
