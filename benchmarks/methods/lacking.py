"""What a stream lacks for some methods: who is left out for it, and whose numbers say nothing of the method.

Owns the literal table. A number must not stand for a method that never got what it is made for. Called by whatever
starts, tells or ranks results; read it before adding a stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.methods.setup import Setup
from learners.job import Stage

__all__ = ["Lack", "lacking", "left_out"]


@dataclass(frozen=True)
class Lack:
    """What is not there for a method.

    Attributes:
        why: what it needs, and what it is without that; a clause.
        runs: it trains all the same, and its numbers are those of something else.
    """

    why: str
    runs: bool = True


_NO_RULE = Lack("it learns from its own answers, and no rule can tell which of them are good", runs=False)
_NO_RULES: Final = {"ppo": _NO_RULE, "cppo": _NO_RULE}
_ONE_BASE = Lack("it carries over what was learned on an old base model, and a stream has one base", runs=False)
_OF_STAGE: Final[Mapping[Stage, Mapping[str, Lack]]] = {
    "cpt": {"recycle": _ONE_BASE},
    "cit": {
        "recycle": _ONE_BASE,
        "safety_mix": Lack("it keeps refusals, and none of these tasks asks what must be refused", runs=False),
        "rcl": Lack("no record brings a rationale, and of its own none was accepted on SmolLM2: plain training"),
        "rationale_cl": Lack("no record brings a rationale; it writes its own, the paper asks a larger model"),
        "dmt": Lack("no source is general conversation, so there is no second stage: plain training"),
        "adapt_retrieve_revise": Lack("there are no texts of a domain to read first: plain training"),
        "adapt_llm": Lack("there are no texts to ask about: its rehearsal of general answers"),
    },
}

_NO_CALLS: Final = {
    "toolken": Lack("no record calls a tool", runs=False),
    "tool_sft": Lack("no record calls a tool: its rehearsal"),
}
_NO_EXAMPLES: Final = {
    "instruction_speak": Lack("no task brings examples of what is wrong: plain training"),
}
_OF_STREAM: Final[Mapping[tuple[Stage, str], Mapping[str, Lack]]] = {
    ("cit", "superni"): _NO_CALLS,
    ("cit", "short"): _NO_CALLS,
    ("cit", "long_sequence"): {**_NO_CALLS, **_NO_EXAMPLES},
    ("cit", "tools"): _NO_EXAMPLES,
    ("ca", "preferences"): _NO_RULES,
    ("ca", "pairs"): _NO_RULES,
}


def lacking(setup: Setup) -> dict[str, Lack]:
    """Method -> what this comparison lacks for it."""
    return {**_OF_STAGE.get(setup.stage, {}), **_OF_STREAM.get((setup.stage, setup.stream), {})}


def left_out(setup: Setup) -> dict[str, str]:
    """Method -> why it cannot learn this stream at all."""
    return {name: lack.why for name, lack in lacking(setup).items() if not lack.runs}
