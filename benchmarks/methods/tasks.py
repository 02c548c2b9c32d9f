"""One task of the shared data: its training records and its suite.

Owns the rendering of a SuperNI-style item for each stage, and the two scores in use: SuperNI's ROUGE-L and the
long-sequence benchmark's exact match. What is chosen of a data set depends on the seed and the task alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from benchmarks import data
from benchmarks.methods.setup import Setup
from learners.job import Stage
from learners.records import Kind, Record, record_id
from monitors.engines import Prompt
from monitors.probes.probe import Answers, Score
from monitors.probes.scorers.match import Match
from monitors.probes.suites import Suite

__all__ = ["ShortAnswer", "Task", "chosen", "given", "record", "task"]

MOST_CHARACTERS = 1200
"""Longer items are left out: a prompt must fit into a row with its answer."""

_SUPERNI = {
    "task073": "task073_commonsenseqa_answer_generation",
    "task1510": "task1510_evalution_relation_extraction",
    "task1687": "task1687_sentiment140_classification",
    "task181": "task181_outcome_extraction",
    "task363": "task363_sst2_polarity_classification",
    "task591": "task591_sciq_answer_generation",
    "task748": "task748_glucose_reverse_cause_event_detection",
    "task875": "task875_emotion_classification",
}


_INSTRUCTED = frozenset({"instruction_speak"})


@dataclass(frozen=True)
class Task:
    """What is learned in one update, and the suite (named like the task) that says how well.

    Attributes:
        held_out: of a preference task, the pairs of the suite; what else is read of them needs more than a score.
        instruction: what the data set says of the task, its examples of right and wrong answers included; empty where
            it has none.
        rewards: rules of `learners.parts.rewards` that the model's own answers are paid by; empty where none can tell.
    """

    name: str
    records: Sequence[Record]
    suite: Suite
    held_out: Sequence[Record] = ()
    instruction: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rewards: Sequence[Mapping[str, Any]] = ()


class ShortAnswer(Match, frozen=True):
    """The first line of a greedy answer, equal to an expected one or scored by its best ROUGE-L with them.

    Attributes:
        measure: `exact` is the data set's accuracy, `rouge_l` the F1 of the longest common subsequence of stemmed words
            (Lin 2004), as SuperNI's own evaluation computes it.
    """

    mode: Literal["exact", "contains", "regex", "number"] = "exact"
    measure: Literal["exact", "rouge_l"] = "exact"

    def as_prompt(self) -> Prompt:
        """The prompt, whose answer ends with its line."""
        return replace(super().as_prompt(), stop=("\n",))

    def score(self, answers: Answers) -> Score:
        """Compare with each expected answer; the best counts."""
        if self.measure == "exact":
            return super().score(answers)
        best = max(_rouge_l(answer, answers.text) for answer in self.answer)
        return Score(best, output=answers.text)


def _rouge_l(expected: str, text: str) -> float:
    return float(_scorer().score(expected, text)["rougeL"].fmeasure)


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # pyright: ignore[reportMissingTypeStubs]

    return RougeScorer(["rougeL"], use_stemmer=True)


def task(name: str, setup: Setup) -> Task:
    """Read a task by its short name, rendered for the setup's stage.

    Raises:
        benchmarks.data.DataMissing: the data folder does not hold it.
    """
    place = f"superni/{_SUPERNI[name]}" if name in _SUPERNI else f"long_sequence/{name}"
    measure: Literal["exact", "rouge_l"] = "rouge_l" if name in _SUPERNI else "exact"
    documents = [data.read(f"{place}/{part}.json.gz") for part in ("train", "test")]
    train, test = map(_items, documents)
    longest = max(len(answer) for _, answers in (*train, *test) for answer in answers)
    return Task(
        name=name,
        records=[
            _example(setup.stage, name, prompt, answers[0])
            for prompt, answers in chosen(train, setup.items, f"{setup.seed}:{name}:train")
        ],
        suite=Suite(
            suite=name,
            role="target",
            items=tuple(
                ShortAnswer(
                    id=f"{name}-{number}", prompt=_asked(setup.stage, prompt), answer=answers, measure=measure,
                    template="plain" if setup.stage == "cpt" else "chat", max_new_tokens=min(48, 6 + longest // 3),
                )
                for number, (prompt, answers) in enumerate(
                    chosen(test, setup.test_items, f"{setup.seed}:{name}:test")
                )
            ),
        ),
        instruction=_instruction(documents[0]),
    )  # fmt: skip


def given(task: Task, method: str) -> Sequence[Record]:
    """The records that a method gets of a task: for the one that learns from wrong answers, with the task's own."""
    if method not in _INSTRUCTED or not task.instruction:
        return task.records
    first, *others = task.records
    return [record(first.source, first.kind, {**first.content, "task": dict(task.instruction)}), *others]


def _instruction(document: Mapping[str, Any]) -> dict[str, Any]:
    """Definition and examples, where there are wrong ones among them."""
    told = {key: document[key] for key in ("Definition", "Positive Examples", "Negative Examples") if key in document}
    return told if document.get("Negative Examples") else {}


def chosen(items: Sequence[Any], count: int, seed: str) -> list[Any]:
    """`count` of the items, or all where there are fewer, in an order that the seed decides."""
    return random.Random(seed).sample(items, min(count, len(items)))  # noqa: S311 - sampling, not secrecy


def record(source: str, kind: Kind, content: dict[str, Any]) -> Record:
    """A record of a benchmark's task."""
    return Record(id=record_id(kind, content), source=source, kind=kind, content=content)


def _items(document: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Prompts with their expected answers; items without one ("-" is an annotators' tie) or too long are left out."""
    definition = "".join(document["Definition"]).strip()
    found: list[tuple[str, tuple[str, ...]]] = []
    for item in document["Instances"]:
        outputs = item["output"] if isinstance(item["output"], list) else [item["output"]]
        answers = tuple(" ".join(output.split()) for output in outputs if output.strip() not in {"", "-"})
        prompt = f"{definition}\n\n{item['input'].strip()}".strip()
        if answers and len(prompt) + len(answers[0]) <= MOST_CHARACTERS:
            found.append((prompt, answers))
    return found


def _asked(stage: Stage, prompt: str) -> str:
    return f"{prompt}\nAnswer:" if stage == "cpt" else prompt


def _example(stage: Stage, source: str, prompt: str, answer: str) -> Record:
    if stage == "cpt":
        return record(source, "text", {"text": f"{_asked(stage, prompt)} {answer}"})
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return record(source, "instruction", {"messages": turns})
