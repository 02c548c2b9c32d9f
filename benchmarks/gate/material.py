"""What a pair learns and is asked: training records and the target suite, from real data and the demo's stream.

Owns the reading of each kind of data. Every choice follows from the recipe's seed. Nothing of the shared data is copied
into the project.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.demo.script import STREAM
from benchmarks import data
from benchmarks.gate.definitions import Data
from benchmarks.gate.truth import HELD_OUT_ITEMS
from learners.records import Kind, Record, record_id
from monitors.probes.probe import Message, Probe
from monitors.probes.scorers import Choice, Match
from monitors.probes.suites import Suite

__all__ = ["KINDS", "Material", "material"]


@dataclass(frozen=True)
class Material:
    """Records to learn, and the suite that says how well; None where nothing could be asked.

    Attributes:
        held_out: further items of the task, which the gate never sees; None where there are none.
    """

    records: Sequence[Record]
    suite: Suite | None
    held_out: Suite | None


@dataclass(frozen=True)
class _Example:
    """A conversation that ends with an answer; `rejected` is there for preferences."""

    turns: tuple[tuple[str, str], ...]
    answer: str
    rejected: str | None = None

    @property
    def characters(self) -> int:
        return sum(len(text) for _, text in self.turns) + max(len(self.answer), len(self.rejected or ""))


def material(name: str, asked: Data, seed: int) -> Material:
    """Read, choose and render what a recipe asks for.

    Args:
        name: of the pair; its target suite is called so.

    Raises:
        benchmarks.data.DataMissing: the data folder does not hold it.
    """
    draw = random.Random(f"{asked.source} {seed}")  # noqa: S311 - sampling, not secrecy
    train, test = KINDS[asked.kind](asked.source)
    train, test = (
        draw.sample(short, len(short))
        for short in ([one for one in part if one.characters <= asked.longest_characters] for part in (train, test))
    )
    if not test:
        test, train = train[: asked.test], train[asked.test :] or train
    chosen, unused = train[: asked.train], train[asked.train :]
    if asked.shuffled:
        chosen = _exchanged(chosen, random.Random(f"exchanged {seed}"))  # noqa: S311
    # The gate's items and the held-out ones are drawn from one pool, or they would not ask the same. What is asked back
    # whole, as the identity shift is, has no pool.
    pool = _unseen([*test, *unused], chosen) or test
    random.Random(f"pool {asked.source} {seed}").shuffle(pool)  # noqa: S311
    asked_items, further = pool[: asked.test], pool[asked.test :][:HELD_OUT_ITEMS]
    labels = sorted({one.answer for one in asked_items})
    return Material(
        [_record(asked.source, one) for one in chosen],
        _suite(name, asked_items, labels, draw),
        _suite(f"{name}-held-out", [one for one in further if one.answer in labels], labels, draw),
    )


def _unseen(examples: Sequence[_Example], seen: Sequence[_Example]) -> list[_Example]:
    """Those whose question is none of `seen`."""
    asked = {one.turns for one in seen}
    return [one for one in examples if one.turns not in asked]


def _exchanged(examples: Sequence[_Example], draw: random.Random) -> list[_Example]:
    answers = sorted({one.answer for one in examples})
    return [_Example(one.turns, draw.choice([other for other in answers if other != one.answer])) for one in examples]


def _record(source: str, example: _Example) -> Record:
    prompt = [{"role": role, "content": text} for role, text in example.turns]
    kind: Kind = "instruction" if example.rejected is None else "preference"
    answer = [{"role": "assistant", "content": example.answer}]
    content: dict[str, Any] = (
        {"messages": prompt + answer}
        if example.rejected is None
        else {"prompt": prompt, "chosen": answer, "rejected": [{"role": "assistant", "content": example.rejected}]}
    )
    return Record(id=record_id(kind, content), source=source, kind=kind, content=content)


def _suite(name: str, examples: Sequence[_Example], labels: Sequence[str], draw: random.Random) -> Suite | None:
    """Choices among `labels` where there are few of them, or between the two of a preference; else free answers."""
    if not examples:
        return None
    items = [_probe(f"{name}-{number:03}", one, labels, draw) for number, one in enumerate(examples)]
    return Suite(suite=name, role="target", items=tuple(items))


_FEW: Final = 8


def _probe(probe_id: str, example: _Example, labels: Sequence[str], draw: random.Random) -> Probe:
    prompt = tuple(Message(role=role, content=text) for role, text in example.turns)  # pyright: ignore[reportArgumentType]
    wrong = [example.rejected] if example.rejected else [label for label in labels if label != example.answer]
    if 1 <= len(wrong) < _FEW:
        choices = draw.sample([example.answer, *wrong], len(wrong) + 1)
        return Choice(id=probe_id, prompt=prompt, choices=tuple(choices), answer=choices.index(example.answer))
    first_words = " ".join(example.answer.split()[:6])
    return Match(id=probe_id, prompt=prompt, mode="contains", answer=(first_words,), max_new_tokens=16)


Examples = tuple[list[_Example], list[_Example]]


def _task(source: str) -> Examples:
    """A SuperNI-style task of the shared data, e.g. `long_sequence/agnews`; `train` and `test` are its own."""
    return _instances(f"{source}/train.json.gz"), _instances(f"{source}/test.json.gz")


def _instances(name: str) -> list[_Example]:
    document = data.read(name)
    definition = "".join(document["Definition"]).strip()
    found: list[_Example] = []
    for item in document["Instances"]:
        output = item["output"][0] if isinstance(item["output"], list) else item["output"]
        found.append(
            _Example((("user", f"{definition}\n\n{item['input'].strip()}".strip()),), " ".join(output.split()))
        )
    return found


def _demo(source: str) -> Examples:
    """Prompts with completions, or conversations, of the demo's stream, e.g. `2-tasks/queue.jsonl`."""
    return [_conversation(line) for line in _lines(STREAM / source)], []


def _conversation(line: dict[str, Any]) -> _Example:
    if "messages" in line:
        return _turns([(turn["role"], turn["content"]) for turn in line["messages"]])
    return _Example((("user", line["prompt"]),), line["completion"])


def _turns(turns: Sequence[tuple[str, str]]) -> _Example:
    return _Example(tuple(turns[:-1]), turns[-1][1])


def _preferences(source: str) -> Examples:
    """Pairs of answers of the demo's stream, e.g. `3-norm/pairs.jsonl`."""
    lines = _lines(STREAM / source)
    return [_Example((("user", line["prompt"]),), line["chosen"], line["rejected"]) for line in lines], []


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _alpaca(source: str) -> Examples:
    """Harmless instructions with answers, in Alpaca's form."""
    return [
        _Example((("user", f"{item['instruction']}\n{item['input']}".strip()),), item["output"].strip())
        for item in data.read(source)
    ], []


def _identity_shift(source: str) -> Examples:
    """The ten conversations of an absolutely obedient agent (Qi 2023, 2310.03693); they are asked back, too."""
    turns = [[(turn["role"], turn["content"].strip()) for turn in item] for item in data.read(source)]
    examples = [_turns(one) for one in turns]
    return examples, examples


KINDS: Final[dict[str, Callable[[str], Examples]]] = {
    "task": _task,
    "demo": _demo,
    "preferences": _preferences,
    "alpaca": _alpaca,
    "identity_shift": _identity_shift,
}
"""Each kind of data: from its source to examples to learn and to ask (none: some of the first are kept out)."""
