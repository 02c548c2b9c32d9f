"""A probe: one evaluation item, and the two pure functions that every scorer is.

A scorer is a subclass of `Probe`: its fields are what an item of that scorer may say, `asks` declares what it needs
from an engine, `score` judges what the engine returned. Neither reads files, models or clocks, so all probes of all
suites are asked in the same batches. The subclasses lie in `monitors.probes.scorers`, one file each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from monitors.engines import Likelihood, Prompt, Turn
from monitors.tools.loop import Asked

__all__ = ["Answers", "Asks", "Entry", "Message", "Probe", "Score"]

ProbeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]


class Message(BaseModel, frozen=True):
    """One turn of a prompt that is a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant", "tool"]
    content: str


@dataclass(frozen=True, slots=True)
class Asks:
    """What a probe needs: generated text or not, and the log-likelihood of each of `continuations` after the prompt.

    With `conversation`, the generated text is the transcript of a conversation in which tools may be called.
    """

    prompt: Prompt
    generate: bool = False
    continuations: tuple[str, ...] = ()
    conversation: Asked | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What an engine returned: `text` is empty where none was asked; `likelihoods` match `Asks.continuations`.

    `verdicts` are what a judge model said to `Probe.comparisons(text)`, in that order; empty where no judge was asked.
    """

    text: str = ""
    likelihoods: tuple[Likelihood, ...] = ()
    verdicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """`score` in [0, 1], 1 being what the probe wants; `margin` in nats where the scorer has evidence of that kind."""

    score: float
    margin: float | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What can be known of an item before it is asked, wherever it comes from.

    Attributes:
        chance: score that guessing earns.
        text: what of it must not be trained on; empty where only a worker that loads the item knows it.
    """

    id: str
    slice: str
    chance: float
    text: str


class Probe(BaseModel, ABC, frozen=True):
    """One evaluation item; subclasses add the keys of their scorer.

    Attributes:
        id: stable name, unique in its suite.
        slice: the part of the suite it belongs to; results are also told per slice.
        scorer: key of `monitors.probes.scorers.SCORERS`.
        prompt: the user's turn, or a whole conversation.
        system: text of a system turn put first; the model's template adds its own default where there is none.
        template: `chat` renders the prompt with the model's chat template, `plain` continues its text as it stands.
        max_new_tokens: longest generated answer; the engine's setting where None.
    """

    model_config = ConfigDict(extra="forbid")

    generates: ClassVar[bool] = False

    id: ProbeId
    slice: str = Field(default="all", min_length=1)
    scorer: str
    prompt: str | Annotated[tuple[Message, ...], Field(min_length=1)]
    system: str | None = None
    template: Literal["chat", "plain"] = "chat"
    max_new_tokens: int | None = Field(default=None, ge=1, le=4096)

    @property
    def text(self) -> str:
        """The prompt for people: its last turn."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[-1].content

    @property
    def question(self) -> str:
        """What the user says, without system turns and examples of the format: what must not be trained on."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(turn.content for turn in self.prompt if turn.role == "user")

    @property
    def chance(self) -> float:
        """Score that guessing earns."""
        return 0.0

    @property
    def solution(self) -> str | None:
        """The right answer in words, as it would be taught; None where the item knows none."""
        return None

    @property
    def entry(self) -> Entry:
        """This probe in its suite's list of items."""
        return Entry(self.id, self.slice, self.chance, self.question)

    def as_prompt(self) -> Prompt:
        """The prompt as an engine takes it."""
        if self.template == "plain":
            return Prompt(text=self.prompt if isinstance(self.prompt, str) else "".join(m.content for m in self.prompt))
        turns = (
            (Turn("user", self.prompt),)
            if isinstance(self.prompt, str)
            else tuple(Turn(message.role, message.content) for message in self.prompt)
        )
        return Prompt(turns=turns if self.system is None else (Turn("system", self.system), *turns))

    def continuations(self) -> tuple[str, ...]:
        """Texts whose log-likelihood after the prompt this probe needs."""
        return ()

    def comparisons(self, text: str) -> tuple[Prompt, ...]:
        """Questions to a judge model about the generated `text`; each is answered `A` or `B`."""
        del text
        return ()

    def asks(self) -> Asks:
        """What this probe needs from an engine."""
        return Asks(self.as_prompt(), self.generates, self.continuations())

    @abstractmethod
    def score(self, answers: Answers) -> Score:
        """Judge what the engine returned for `asks`."""
