"""What an engine is: it answers prompts, by generated text and by log-likelihoods.

Owns the seam between scorers and models: the values that cross it, the `Engine` protocol and the table of engines.
Imports no torch: an engine's module is imported when `open_engines` is called. Called by `monitors.measure`,
`monitors.choose` and the gap finder; scorers see only `Prompt` and `Likelihood`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, TypeVar

from learners.failures import InvalidInput
from learners.lean import lean
from monitors.job import EngineSettings, VersionRef

__all__ = [
    "ENGINES",
    "Continuation",
    "Engine",
    "EngineError",
    "EngineUnavailableError",
    "Likelihood",
    "OpenEngine",
    "Prompt",
    "Turn",
    "before_stop",
    "in_order",
    "open_engines",
]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model continues: chat turns, rendered by the model's own template, or else `text` exactly as it stands.

    Attributes:
        tokens: numbers in the model's vocabulary where the caller has tokenized `text` itself; they are what counts.
        stop: a generated answer ends before the first of these that it would hold.
    """

    turns: tuple[Turn, ...] = ()
    text: str = ""
    tokens: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()


Continuation = str | tuple[int, ...]
"""What may follow a prompt: text, or tokens for a prompt that is given in tokens."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Log-likelihood of one continuation: the sum over its tokens, in nats, and how many tokens it has.

    Attributes:
        greedy: whether greedy decoding would write just these tokens; None where an engine cannot tell.
        each: log-probability of every token, in nats; empty where an engine tells the sum alone.
    """

    logprob: float
    tokens: int
    greedy: bool | None = None
    each: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """Length-normalised log-likelihood, nats per token; 0.0 for an empty continuation."""
        return self.logprob / self.tokens if self.tokens else 0.0


class EngineError(InvalidInput):
    """An engine cannot answer as asked, now or later; the message names the setting that fixes it."""


class EngineUnavailableError(RuntimeError):
    """An engine does not answer now; trying again may help."""


class Engine(Protocol):
    """Answers for one model. Both methods yield (index of the request, answer) as soon as a batch is done.

    Equal requests have equal answers whatever order or batch they arrive in, up to floating-point rounding.
    """

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Greedy continuation of each prompt, at most `max_new_tokens[i]` tokens, special tokens left out."""
        ...

    def loglikelihood(self, pairs: Sequence[tuple[Prompt, Continuation]]) -> Iterator[tuple[int, Likelihood]]:
        """Log-likelihood of each continuation after its prompt; pairs with equal prompts share its computation."""
        ...

    def choose(self, prompt: Prompt, schema: Mapping[str, Any], max_new_tokens: int) -> str:
        """Greedy continuation that is forced to be JSON valid under `schema`; cut at `max_new_tokens` tokens."""
        ...


T = TypeVar("T")

OpenEngine = Callable[[VersionRef], Engine]

ENGINES: dict[str, str] = {
    "openai": "monitors.engines.openai",
    "scripted": "monitors.engines.scripted",
    "transformers": "monitors.engines.transformers",
    "vllm": "monitors.engines.vllm",
}


def open_engines(settings: EngineSettings) -> OpenEngine:
    """Return the function that opens an engine on a version.

    Opening a version may close the one opened before: use one at a time. What versions share (a base model, a
    connection) is kept between them.

    Raises:
        EngineError: the settings lack what this kind of engine needs.
    """
    with lean():
        module = import_module(ENGINES[settings.kind])
    opened: OpenEngine = module.engines(settings)
    opened = import_module("monitors.engines.two_steps").in_two_steps(opened)
    return import_module("monitors.engines.revising").revising(opened, settings.revise) if settings.revise else opened


def in_order(answers: Iterable[tuple[int, T]], count: int) -> list[T]:
    """Collect indexed answers into a list in the order of the requests."""
    found = dict(answers)
    return [found[index] for index in range(count)]


def before_stop(text: str, stop: Iterable[str]) -> str:
    """The part of `text` before the first of the `stop` texts in it."""
    for ending in stop:
        text = text.split(ending, 1)[0] if ending else text
    return text
