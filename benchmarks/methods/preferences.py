"""The tasks of continual alignment: real preference pairs, and two readers who want opposite things.

`helpful` and `harmless` are published pairs; `brief` and `thorough` are made of published answers, of which the first
sentence or the whole is preferred, depending on a reader whom the prompt names: a model that does not read the prompt
loses one by learning the other. The score is pairwise accuracy: the chosen answer is the likelier one, per token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks import data
from benchmarks.methods.setup import Setup
from benchmarks.methods.tasks import Task, chosen, record
from monitors.probes.probe import Message
from monitors.probes.scorers.choice import Choice
from monitors.probes.suites import Suite

__all__ = ["task"]

MOST_CHARACTERS = 2400
"""Longer pairs are left out: prompt and answer must fit into a row."""

Turns = list[dict[str, str]]
Pair = tuple[Turns, str, str]
"""The conversation so far, the preferred answer, the other one."""

_ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def task(name: str, setup: Setup) -> Task:
    """Read a preference task: `helpful`, `harmless`, `brief` or `thorough`.

    A quarter of the pairs at most is kept for testing, and none of it is trained on.

    Raises:
        benchmarks.data.DataMissing: the data folder does not hold it.
    """
    pairs = [pair for pair in _SOURCES[name]() if _characters(pair) <= MOST_CHARACTERS]
    shuffled = chosen(pairs, len(pairs), f"{setup.seed}:{name}")
    tests = shuffled[: min(setup.test_items, max(len(pairs) // 4, 1))]
    train = shuffled[len(tests) :][: setup.items]
    return Task(
        name=name,
        records=[record(name, "preference", _content(pair)) for pair in train],
        suite=Suite(suite=name, role="target", items=tuple(_probe(name, n, pair) for n, pair in enumerate(tests))),
    )


def _characters(pair: Pair) -> int:
    turns, preferred, other = pair
    return sum(len(turn["content"]) for turn in turns) + len(preferred) + len(other)


def _content(pair: Pair) -> dict[str, Any]:
    turns, preferred, other = pair
    return {
        "prompt": turns,
        "chosen": [{"role": "assistant", "content": preferred}],
        "rejected": [{"role": "assistant", "content": other}],
    }


def _probe(name: str, number: int, pair: Pair) -> Choice:
    turns, preferred, other = pair
    prompt = tuple(Message.model_validate(turn) for turn in turns)
    return Choice(id=f"{name}-{number}", prompt=prompt, choices=(preferred, other), answer=0)


def _helpful() -> list[Pair]:
    return [
        (
            [{"role": _ROLES[turn["from"]], "content": turn["value"]} for turn in item["conversations"]],
            item["chosen"]["value"],
            item["rejected"]["value"],
        )
        for item in data.read("llama_factory_demo/dpo_en_demo.json.gz")
    ]


def _harmless() -> list[Pair]:
    pairs: list[Pair] = []
    for item in data.read("hh_rlhf/harmless_base_test.jsonl.gz"):
        turns, preferred = _conversation(item["chosen"])
        others, other = _conversation(item["rejected"])
        if turns == others and preferred and other and preferred != other:
            pairs.append((turns, preferred, other))
    return pairs


def _conversation(text: str) -> tuple[Turns, str]:
    """The turns of Anthropic's plain-text form before its last answer, and that answer."""
    spoken = re.split(r"\n\n(Human|Assistant): ?", text)[1:]
    turns = [
        {"role": "user" if who == "Human" else "assistant", "content": said.strip()}
        for who, said in zip(spoken[::2], spoken[1::2], strict=True)
    ]
    return turns[:-1], turns[-1]["content"]


def _styled(reader: str, *, brief: bool) -> list[Pair]:
    pairs: list[Pair] = []
    for item in data.read("llama_factory_demo/alpaca_en_demo.json.gz"):
        whole = item["output"].strip()
        first = _SENTENCE.split(whole)[0]
        if len(first) * 3 > len(whole):
            continue
        request = f"{reader}\n\n{item['instruction']}\n{item['input']}".strip()
        preferred, other = (first, whole) if brief else (whole, first)
        pairs.append(([{"role": "user", "content": request}], preferred, other))
    return pairs


_SOURCES: Final[Mapping[str, Callable[[], list[Pair]]]] = {
    "helpful": _helpful,
    "harmless": _harmless,
    "brief": lambda: _styled("(I read this on my phone.)", brief=True),
    "thorough": lambda: _styled("(I read this at my desk.)", brief=False),
}
