"""Tasks of continual alignment whose norm a rule can verify: what the model itself answers is scored by the rule.

    words       at most twenty words
    comma       no comma
    opening     begins with "In short"

Owns the literal table. Every request names its rule, so a model can follow all of them, and an untouched one follows
each now and then. A task comes as pairs, an answer that keeps the rule over a published one that breaks it, and as the
reward that is the same rule: methods that learn from pairs and methods that learn from the model's own answers are
asked for the same and scored on the same greedy answers to requests they have not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.methods.made_pairs import SENTENCE, Form, Pair, alpaca
from monitors.probes.probe import Message
from monitors.probes.scorers.instruction import Instruction, Property

__all__ = ["RULES", "Rule", "rule_pairs", "rule_probe"]

_MOST_WORDS: Final = 20
_OPENING: Final = "In short"
_LONGEST_REQUEST: Final = 300
_LONGEST_ANSWER: Final = 800
"""Characters: what an answer teaches is the rule, not its words."""

_ROOM_TOKENS: Final = 64


@dataclass(frozen=True)
class Rule(Form):
    """A form that is also paid for.

    Attributes:
        reward: of `learners.parts.rewards`, the same rule.
    """

    reward: Mapping[str, Any] = field(kw_only=True)


RULES: Final[Mapping[str, Rule]] = {
    "words": Rule(
        f"Use at most {_MOST_WORDS} words.", lambda text: SENTENCE.split(text)[0], "word_count", {"max": _MOST_WORDS},
        reward={"kind": "length", "most_words": _MOST_WORDS},
    ),
    "comma": Rule(
        "Use no comma.", lambda text: text.replace(",", ""), "no_comma",
        reward={"kind": "pattern", "pattern": "^[^,]+$"},
    ),
    "opening": Rule(
        f"Begin with the words: {_OPENING}", lambda text: f"{_OPENING}: {text}", "starts_with", _OPENING,
        reward={"kind": "pattern", "pattern": f"^{_OPENING}"},
    ),
}  # fmt: skip


def rule_pairs(name: str) -> list[Pair]:
    """A published answer brought to keep the rule over the same one as it was published, where that breaks it.

    Each rule has requests of its own: every third one of the Alpaca sample.
    """
    rule, first = RULES[name], list(RULES).index(name)
    pairs: list[Pair] = []
    for request, answer in alpaca()[first :: len(RULES)]:
        kept = rule.make(answer)
        short = len(request) <= _LONGEST_REQUEST and len(answer) <= _LONGEST_ANSWER
        if short and rule.holds(kept) and not rule.holds(answer):
            pairs.append(([{"role": "user", "content": f"{request}\n\n{rule.request}"}], kept, answer))
    return pairs


def rule_probe(name: str, number: int, pair: Pair) -> Instruction:
    """The request of a pair, answered by the model and judged by the rule."""
    rule = RULES[name]
    return Instruction(
        id=f"{name}-{number}", prompt=tuple(Message.model_validate(turn) for turn in pair[0]),
        checks=(Property(kind=rule.check, value=rule.value),), max_new_tokens=_ROOM_TOKENS,
    )  # fmt: skip
