"""Conjugate prompting: an item of any other scorer, asked in a disguise, its answer read back out of it.

What an update seems to have erased may only be hidden: the model takes the question for one of those it was just tuned
on. Asked in words far from these it may still answer. This measures and trains nothing; `monitors.hidden` makes a
suite of such items and tells from their scores what is hidden and what is lost.

Source: Kotha et al. 2024 (arXiv:2309.10105). Theirs translates by a service and asks in one disguise; here disguises
are rules (`monitors.probes.disguises`), and an answer in plain words counts, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, Self, cast

from pydantic import ValidationInfo, field_serializer, field_validator, model_validator

from monitors.engines import Prompt
from monitors.probes.disguises import DISGUISES, Disguise, DisguiseName
from monitors.probes.probe import Answers, Asks, Probe, Score

__all__ = ["Conjugate"]

_TAKEN_OVER = ("prompt", "system", "template", "max_new_tokens")


class Conjugate(Probe, frozen=True):
    """Scores what `probe` scores, on the answer to its disguised question; of both readings of an answer the better.

    Attributes:
        probe: the item, with the keys of its own scorer; question, system turn, template and limit are taken from it.
        disguise: name of one of `monitors.probes.disguises`.
        prefix: text before the question, for disguise `prefix`.
    """

    scorer: Literal["conjugate"] = "conjugate"
    probe: Probe
    disguise: DisguiseName
    prefix: str = ""

    @model_validator(mode="before")
    @classmethod
    def _takes_over(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        keys = cast(Mapping[str, Any], given)
        inner = keys.get("probe")
        own = cast(Mapping[str, Any], inner) if isinstance(inner, Mapping) else getattr(inner, "__dict__", {})
        return {**{key: own[key] for key in _TAKEN_OVER if key in own}, **keys}

    @field_validator("probe", mode="before")
    @classmethod
    def _of_its_scorer(cls, given: Any, info: ValidationInfo) -> Any:
        """Who reads items knows the table of scorers, which names this one: it hands itself over as the context."""
        if isinstance(given, Probe):
            return given
        if info.context is None:
            raise ValueError("an item in an item is read by `monitors.probes.suites.read_probe`")
        return cast(Callable[[object], Probe], info.context)(given)

    @field_serializer("probe")
    def _with_its_scorer(self, probe: Probe) -> dict[str, Any]:
        return {"scorer": probe.scorer, **probe.model_dump(mode="json", exclude_defaults=True)}

    @model_validator(mode="after")
    def _can_be_disguised(self) -> Self:
        if isinstance(self.probe, Conjugate):
            raise ValueError("an item in a disguise cannot be disguised again")
        if (self.disguise == "prefix") != bool(self.prefix):
            raise ValueError("disguise 'prefix' and no other needs a prefix")
        return self

    @property
    def chance(self) -> float:
        """That of the item."""
        return self.probe.chance

    def comparisons(self, text: str) -> tuple[Prompt, ...]:
        """What a judge is asked about the item's answer, out of its disguise."""
        return self.probe.comparisons(self._disguise.unsay(text))

    def asks(self) -> Asks:
        """What the item needs, with the user's turns and all continuations disguised."""
        say, asks = self._disguise.say, self.probe.asks()
        turns = [
            replace(turn, content=say(turn.content)) if turn.role == "user" else turn for turn in asks.prompt.turns
        ]
        if turns and turns[-1].role == "user":
            turns[-1] = replace(turns[-1], content=self.prefix + turns[-1].content)
        text = asks.prompt.text and self.prefix + say(asks.prompt.text)
        prompt = replace(asks.prompt, turns=tuple(turns), text=text)
        conversation = asks.conversation and replace(asks.conversation, prompt=prompt)
        continuations = tuple(map(say, asks.continuations))
        return replace(asks, prompt=prompt, continuations=continuations, conversation=conversation)

    def score(self, answers: Answers) -> Score:
        """Let the item judge the answer, as it stands and out of its disguise."""
        as_said = self.probe.score(answers)
        read = self.probe.score(replace(answers, text=self._disguise.unsay(answers.text)))
        return max(as_said, read, key=lambda score: score.score)

    @property
    def _disguise(self) -> Disguise:
        return DISGUISES[self.disguise]
