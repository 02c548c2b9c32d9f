"""Probes from new examples: a share of them is held out of training and asked instead.

What is asked follows from the kind: a tool call must come out as it stands, a short answer must match, a long answer
must be more likely than other examples' answers. A preference for refusing, or against it, is asked by generation; of
any other pair the chosen side must be more likely.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from learners.records import Kind, Record
from monitors.probes.scorers.tool_call import parse_call
from monitors.probes.text import refuses

__all__ = ["hold_out", "probe_item"]

_FEWEST, _MOST = 12, 24
_SHORT_WORDS = 6
_CHOICES = 4
_REFUSAL_TOKENS = 16

Messages = list[dict[str, Any]]


def hold_out(records: Sequence[Record], share: float, seed: int) -> list[Record]:
    """Choose which records become probes: `share` of each kind, 12 to 24 together, never over half of a kind."""
    chooser = random.Random(seed)  # noqa: S311 - a sample, not a secret
    by_kind = {kind: [record for record in records if record.kind == kind] for kind in _ITEM}
    present = {kind: mine for kind, mine in by_kind.items() if mine}
    chosen: list[Record] = []
    for mine in present.values():
        fewest, most = (-(-bound // len(present)) for bound in (_FEWEST, _MOST))
        chosen += chooser.sample(mine, min(max(round(share * len(mine)), fewest), most, len(mine) // 2))
    return chosen


def probe_item(record: Record, others: Sequence[Record], seed: int) -> dict[str, Any]:
    """The suite item that asks what `record` teaches.

    Args:
        others: records of the same kind, whose answers serve as wrong choices.
    """
    return {"id": f"{record.kind}-{record.id[:10]}", "slice": record.kind, **_ITEM[record.kind](record, others, seed)}


def _instruction(record: Record, others: Sequence[Record], seed: int) -> dict[str, Any]:
    *prompt, answer = record.content["messages"]
    text = answer["content"]
    if len(text.split()) <= _SHORT_WORDS:
        return {**_asked(prompt), "scorer": "match", "mode": "exact", "answer": [text]}
    wrong = {other.content["messages"][-1]["content"] for other in others} - {text}
    chooser = random.Random(f"{seed}{record.id}")  # noqa: S311
    choices = [text, *chooser.sample(sorted(wrong), min(len(wrong), _CHOICES - 1))]
    chooser.shuffle(choices)
    return {**_asked(prompt), "scorer": "choice", "choices": choices, "answer": choices.index(text)}


def _tool(record: Record, others: Sequence[Record], seed: int) -> dict[str, Any]:
    *prompt, answer = record.content["messages"]
    call = parse_call(answer["content"] or "")
    if call is None:
        return _instruction(record, others, seed)
    return {**_asked(prompt), "scorer": "tool_call", "expect": call.model_dump()}


def _preference(record: Record, _: Sequence[Record], seed: int) -> dict[str, Any]:
    """A pair of a refusal and an answer is asked as what it is about: does the model refuse, or answer?"""
    asked, chosen, rejected = (
        _asked(record.content["prompt"]),
        *(_last(record, side) for side in ("chosen", "rejected")),
    )
    if refuses(chosen) != refuses(rejected):
        scorer, refuse, comply = ("refusal", chosen, rejected) if refuses(chosen) else ("compliance", rejected, chosen)
        return {**asked, "scorer": scorer, "refuse": refuse, "comply": comply, "max_new_tokens": _REFUSAL_TOKENS}
    sides = [chosen, rejected]
    random.Random(f"{seed}{record.id}").shuffle(sides)  # noqa: S311
    return {**asked, "scorer": "choice", "choices": sides, "answer": sides.index(chosen)}


def _last(record: Record, side: str) -> str:
    return record.content[side][-1]["content"]


_ITEM: Final[dict[Kind, Callable[[Record, Sequence[Record], int], dict[str, Any]]]] = {
    "instruction": _instruction,
    "tool": _tool,
    "preference": _preference,
}


def _asked(messages: Messages) -> dict[str, Any]:
    """The prompt of an item: the conversation as it stands, without its answer."""
    return {"prompt": [{"role": message["role"], "content": message["content"]} for message in messages]}
