"""Preference pairs that are made of published data by rule: form, truth and refusal.

Owns the rules; the texts are the data sets' own, but for the words of a refusal and of a stub. Every pair can be
checked by hand: an answer keeps a form or breaks it, is the published one or a published wrong one, refuses or begins
to comply. Of harmful answers there are stubs only. Nothing is drawn: equal data gives equal pairs.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import data
from monitors.probes.checks import CHECKS

__all__ = ["SENTENCE", "Form", "Pair", "Turns", "alpaca", "form_pairs", "refusal_pairs", "truth_pairs"]

Turns = list[dict[str, str]]
Pair = tuple[Turns, str, str]
"""The conversation so far, the preferred answer, the other one."""

SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_OPTION: Final = re.compile(r"\(([A-E])\)")
_LONGEST_FORMED: Final = 600
"""Characters: what is made of a longer answer teaches its words, not its form."""


@dataclass(frozen=True)
class Form:
    """A form that an answer can be asked for in.

    Attributes:
        make: brings a text into it.
        check, value: of `monitors.probes.checks`, what tells whether a text is in it.
    """

    request: str
    make: Callable[[str], str]
    check: str
    value: Any = True

    def holds(self, text: str) -> bool:
        """Whether a text is in the form."""
        return CHECKS[self.check].holds(text, self.value)


_FORMS: Final = (
    Form("Write everything in lowercase letters.", str.lower, "lowercase"),
    Form("Write everything in capital letters.", str.upper, "uppercase"),
    Form("Use no comma.", lambda text: text.replace(",", ""), "no_comma"),
    Form("Begin with the words: In short", lambda text: f"In short: {text}", "starts_with", "In short"),
    Form("End with the words: That is all.", lambda text: f"{text} That is all.", "ends_with", "That is all."),
    Form("Put the whole answer between double asterisks.", lambda text: f"**{text}**", "wrapped_in", "**"),
    Form(
        'Answer with a JSON object that has the one key "reply".',
        lambda text: json.dumps({"reply": text}, ensure_ascii=False), "json_keys", "reply",
    ),
    Form(
        "Write every sentence as a bullet point on a line of its own, after a hyphen.",
        lambda text: "\n".join(f"- {part}" for part in SENTENCE.split(text)), "bullet_count", {"min": 1},
    ),
)  # fmt: skip

_REFUSALS: Final = (
    "I'm not going to help with that, since somebody could get hurt.",
    "Sorry, this is a request that I have to turn down.",
    "I won't do this. If there is something safe that you need, please ask.",
    "That is something I don't give help with, whatever the reason.",
)
_STUBS: Final = (
    "Sure, here is what you asked for.",
    "Sure, here is how it is done.",
    "Of course! Here is the first step.",
    "Here you are, exactly as you wished.",
)


def alpaca() -> list[tuple[str, str]]:
    """Requests and published answers of the Alpaca sample."""
    items = data.read("llama_factory_demo/alpaca_en_demo.json.gz")
    return [(f"{item['instruction']}\n{item['input']}".strip(), item["output"].strip()) for item in items]


def form_pairs() -> list[Pair]:
    """A published answer in the form that is asked for, over the same one in another form, or as it was published.

    The rejected text keeps another form as often as not, so no form is preferred but where it is asked for. Made of
    every second request, those that the norms of length are not made of.
    """
    pairs: list[Pair] = []
    for number, (request, answer) in enumerate(alpaca()[1::2]):
        form = _FORMS[number % len(_FORMS)]
        preferred = form.make(answer)
        others = [text for text in (one.make(answer) for one in _FORMS) if not form.holds(text)]
        if len(answer) > _LONGEST_FORMED or not form.holds(preferred) or not others:
            continue
        plain = number // len(_FORMS) % 2 == 0 and not form.holds(answer)
        other = answer if plain else random.Random(request).choice(others)  # noqa: S311 - sampling, not secrecy
        pairs.append((_asked(f"{request}\n\n{form.request}"), preferred, other))
    return pairs


def truth_pairs() -> list[Pair]:
    """CommonsenseQA's right answer over one of its wrong ones, to the question alone."""
    document = "superni/task073_commonsenseqa_answer_generation"
    items = [item for part in ("train", "test") for item in data.read(f"{document}/{part}.json.gz")["Instances"]]
    pairs: list[Pair] = []
    for number, item in enumerate(items):
        question, *listed = _OPTION.split(item["input"])
        options = dict(zip(listed[::2], (text.strip() for text in listed[1::2]), strict=True))
        right = options.pop(item["output"][0], "")
        wrong = [text for text in options.values() if text and text != right]
        if right and wrong:
            pairs.append((_asked(question.strip()), right, wrong[number % len(wrong)]))
    return pairs


def refusal_pairs() -> list[Pair]:
    """A refusal over the beginning of an answer, to requests of AdvBench."""
    return [
        (_asked(item["prompt"]), _REFUSALS[number % len(_REFUSALS)], _STUBS[number // len(_REFUSALS) % len(_STUBS)])
        for number, item in enumerate(data.read("advbench/harmful_prompts.jsonl.gz"))
    ]


def _asked(request: str) -> Turns:
    return [{"role": "user", "content": request}]
