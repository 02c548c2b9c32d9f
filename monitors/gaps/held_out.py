"""Probes from new examples: a share of them is held out of training and asked instead.

What is asked follows from the kind: a tool call must come out as it stands, a short answer must match, a long answer
must be more likely than other examples' answers, or likely where all give the same one. A preference for refusing, or
against it, is asked by generation; of any other pair the chosen side must be more likely. An answer that people
approved must be likely, one that they disapproved unlikely.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from learners.parts.judgements import judgements
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
    """Choose which records become probes: `share` of each kind, 12 to 24 together, never over half of a kind.

    Of judged answers, all to one prompt together, and never over half of what was approved or of what was not.
    """
    chooser = random.Random(seed)  # noqa: S311 - a sample, not a secret
    by_kind: dict[Kind, list[Record]] = {kind: [record for record in records if record.kind == kind] for kind in _ITEM}
    present: dict[Kind, list[Record]] = {kind: mine for kind, mine in by_kind.items() if mine}
    wanted = _wanted(present, share)
    chosen: list[Record] = []
    for kind, mine in present.items():
        if kind == "feedback":
            chosen += _whole_prompts(chooser, mine, wanted[kind], present.get("preference", []))
        else:
            chosen += chooser.sample(mine, wanted[kind])
    return chosen


def _wanted(present: Mapping[Kind, Sequence[Record]], share: float) -> dict[Kind, int]:
    """How many of each kind; what a small kind cannot give, the greater ones do."""
    found: dict[Kind, int] = {}
    for kind, mine in sorted(present.items(), key=lambda item: len(item[1])):
        left, taken = len(present) - len(found), sum(found.values())
        fewest, most = (-(-max(0, bound - taken) // left) for bound in (_FEWEST, _MOST))
        found[kind] = min(max(round(share * len(mine)), fewest), most, len(mine) // 2)
    return found


def _whole_prompts(
    chooser: random.Random, labels: Sequence[Record], most: int, pairs: Sequence[Record]
) -> list[Record]:
    """At most `most` judged answers, with all others to their prompts, so that training does not give them away.

    At least two prompts and half of either verdict stay; prompts that pairs are about, too, are left alone.
    """
    prompts: dict[str, list[Record]] = {}
    for record in labels:
        prompts.setdefault(judgements(record)[0].prompt, []).append(record)
    left = {verdict: sum(bool(one.content["label"]) is verdict for one in labels) // 2 for verdict in (True, False)}
    elsewhere = {judgements(pair)[0].prompt for pair in pairs}
    chosen: list[Record] = []
    for prompt in chooser.sample(list(prompts), max(0, len(prompts) - 2)):
        verdicts = [bool(record.content["label"]) for record in prompts[prompt]]
        fits = all(verdicts.count(verdict) <= left[verdict] for verdict in left)
        if fits and prompt not in elsewhere and len(chosen) + len(verdicts) <= most:
            chosen += prompts[prompt]
            left = {verdict: room - verdicts.count(verdict) for verdict, room in left.items()}
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
    if not wrong:
        return {**_asked(prompt), "scorer": "approval", "answer": text, "wanted": True}
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


def _feedback(record: Record, _: Sequence[Record], __: int) -> dict[str, Any]:
    wanted = bool(record.content["label"])
    return {**_asked(record.content["prompt"]), "scorer": "approval", "answer": _last(record, "completion"),
            "wanted": wanted}  # fmt: skip


def _last(record: Record, side: str) -> str:
    return record.content[side][-1]["content"]


_ITEM: Final[dict[Kind, Callable[[Record, Sequence[Record], int], dict[str, Any]]]] = {
    "instruction": _instruction,
    "tool": _tool,
    "preference": _preference,
    "feedback": _feedback,
}


def _asked(messages: Messages) -> dict[str, Any]:
    """The prompt of an item: the conversation as it stands, without its answer."""
    return {"prompt": [{"role": message["role"], "content": message["content"]} for message in messages]}
