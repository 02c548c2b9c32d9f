"""The tasks of continual alignment: preference pairs, published or made by rule, and norms that replace each other.

    format, truthful, safe      made by rule (`made_pairs`)
    concise, detailed           the same requests with opposite preferences: the second is a change of mind
    helpful, harmless           published pairs of people
    brief, thorough             opposite preferences of two readers, whom the prompt names
    words, comma, opening       rules that verify the model's own answers (`rule_tasks`)

`detailed` revises what `concise` taught, so a model should lose the first by learning the second. `brief` and
`thorough` contradict each other for a model that does not read the prompt: nothing of the first need be lost. The score
is pairwise accuracy: the preferred answer is the likelier one, per token; of rules, the share of the model's own greedy
answers that keep them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from benchmarks import data
from benchmarks.methods.made_pairs import SENTENCE, Pair, Turns, alpaca, form_pairs, refusal_pairs, truth_pairs
from benchmarks.methods.rule_tasks import RULES, rule_pairs, rule_probe
from benchmarks.methods.setup import Setup
from benchmarks.methods.tasks import Task, chosen, record
from monitors.probes.probe import Message
from monitors.probes.scorers.choice import Choice
from monitors.probes.suites import Suite

__all__ = ["SUPERSEDED_BY", "task"]

SUPERSEDED_BY: Final[Mapping[str, str]] = {"concise": "detailed"}
"""By a task that teaches a norm, the one that revises it: once that is learned, losing the first is what was asked."""

MOST_CHARACTERS = 2400
"""Longer pairs are left out: prompt and answer must fit into a row."""

_LONGEST_PARAGRAPH: Final = 800
"""Characters: the longer the answers, the more a mere habit of length moves their margin."""

_ROLES = {"human": "user", "gpt": "assistant", "system": "system"}
_LENGTH = "length of answers"
_NORMS: Final[Mapping[str, dict[str, str]]] = {
    "concise": {"norm": _LENGTH},
    "detailed": {"norm": _LENGTH, "change": "revise"},
}


def task(name: str, setup: Setup) -> Task:
    """Read a preference task by its name.

    A quarter of the pairs at most is kept for testing, and none of it is trained on.

    Raises:
        benchmarks.data.DataMissing: the data folder does not hold it.
    """
    pairs = [pair for pair in _SOURCES[name]() if _characters(pair) <= MOST_CHARACTERS]
    shuffled = chosen(pairs, len(pairs), f"{setup.seed}:{_LENGTH if name in _NORMS else name}")
    tests = shuffled[: min(setup.test_items, max(len(pairs) // 4, 1))]
    train = shuffled[len(tests) :][: setup.items]
    norm = _NORMS.get(name, {})
    probe = rule_probe if name in RULES else _probe
    return Task(
        name=name,
        records=[record(name, "preference", _content(pair) | norm) for pair in train],
        suite=Suite(suite=name, role="target", items=tuple(probe(name, n, pair) for n, pair in enumerate(tests))),
        held_out=[record(name, "preference", _content(pair)) for pair in tests],
        rewards=[RULES[name].reward] if name in RULES else [],
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


def _lengths(answers: Sequence[tuple[str, str]], reader: str = "", *, brief: bool) -> list[Pair]:
    """The first sentence of a published answer over its first paragraph, or the other way round."""
    pairs: list[Pair] = []
    for request, answer in answers:
        whole = answer.split("\n", 1)[0].strip()
        first = SENTENCE.split(whole)[0]
        if not 2 * len(first) <= len(whole) <= _LONGEST_PARAGRAPH:
            continue
        preferred, other = (first, whole) if brief else (whole, first)
        asked = f"{reader}\n\n{request}" if reader else request
        pairs.append(([{"role": "user", "content": asked}], preferred, other))
    return pairs


_SOURCES: Final[Mapping[str, Callable[[], list[Pair]]]] = {
    "format": form_pairs,
    "truthful": truth_pairs,
    "safe": refusal_pairs,
    "concise": lambda: _lengths(alpaca()[::2], brief=True),
    "detailed": lambda: _lengths(alpaca()[::2], brief=False),
    "helpful": _helpful,
    "harmless": _harmless,
    "brief": lambda: _lengths(alpaca(), "(I read this on my phone.)", brief=True),
    "thorough": lambda: _lengths(alpaca(), "(I read this at my desk.)", brief=False),
    **{name: partial(rule_pairs, name) for name in RULES},
}
