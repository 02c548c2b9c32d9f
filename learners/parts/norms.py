"""Norms: what a preference says about one, and what is remembered and holds no more once it changes.

A preference's content may have `norm`, the name of one, and `change`: `add` (as without it), `revise` or `retire`. Owns
what those words mean for records; `learners.methods.value_revision` says how they are learned.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from learners.failures import InvalidInput
from learners.records import Record

if TYPE_CHECKING:
    from learners.parts.memory import ReplayMemory

__all__ = ["Change", "answers", "changes", "retires", "superseded"]

Change = Literal["add", "revise", "retire"]


def changes(records: Sequence[Record]) -> dict[str, Change]:
    """Record id -> what it does to its norm.

    Raises:
        InvalidInput: an unknown change, one without a norm, or a norm that is revised and retired at once.
    """
    found: dict[str, Change] = {}
    of_norm: dict[str, str] = {}
    for record in records:
        norm, change = str(record.content.get("norm", "")), record.content.get("change", "add")
        who = f"preference {record.id[:12]!r} has change = {change!r}"
        if change not in get_args(Change):
            raise InvalidInput(f"{who}; it must be one of {', '.join(get_args(Change))}")
        if change != "add" and not norm:
            raise InvalidInput(f"{who} and names no norm, so nothing is superseded; give it 'norm', or change = 'add'")
        if change != "add" and of_norm.setdefault(norm, change) != change:
            raise InvalidInput(f"norm {norm!r} is revised and retired at once; select the records of one change")
        found[record.id] = change
    return found


def retires(record: Record) -> bool:
    """Whether a record takes a norm out of the weights."""
    return record.content.get("change") == "retire"


def superseded(memory: ReplayMemory, changed: Sequence[Record], older: Collection[str] = ()) -> set[str]:
    """Ids of what is remembered and holds no more: all of a changed norm, and what teaches an answer now rejected.

    Args:
        changed: preferences that revise or retire. An answer that a revision rejects is superseded wherever it was
            learned, in a conversation, too; a retired norm is only let go.
        older: names of norms that ended under another name.
    """
    of_norms = {record.content["norm"] for record in changed}.union(older)
    rejected = {
        _key(record.content["prompt"], record.content["rejected"])
        for record in changed
        if record.content["change"] == "revise"
    }
    records = [item.record for item in memory.items]
    return {one.id for one in records if one.content.get("norm") in of_norms or _taught(one) in rejected}


def answers(record: Record) -> str:
    """What a preference is about, whatever it does to a norm: equal for equal prompts, chosen and rejected answers."""
    return _key(*(record.content[name] for name in ("prompt", "chosen", "rejected")))


def _taught(record: Record) -> str | None:
    """The conversation that a record teaches by likelihood or preference; None of plain text."""
    content = record.content
    if record.kind in ("preference", "feedback"):
        return _key(content["prompt"], content["chosen" if record.kind == "preference" else "completion"])
    return _key(content["messages"]) if "messages" in content else None


def _key(*turns: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps([[turn["role"], turn.get("content")] for part in turns for turn in part])
