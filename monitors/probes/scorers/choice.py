"""Multiple choice, by which answer the model finds likeliest; nothing is generated."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from monitors.probes.probe import Answers, Probe, Score

__all__ = ["Choice"]


class Choice(Probe, frozen=True):
    """Scores 1 where the right choice has the highest length-normalised log-likelihood after the prompt.

    The measure is `acc_norm` of lm-evaluation-harness with tokens in place of bytes. The margin is the right choice's
    nats per token minus those of the best wrong one; a tie (margin 0) scores 0, so a model that cannot tell two
    answers apart has not answered.

    Attributes:
        choices: the answers, all different.
        answer: index of the right one, from 0.
    """

    scorer: Literal["choice"] = "choice"
    choices: tuple[str, ...] = Field(min_length=2, max_length=26)
    answer: int = Field(ge=0, strict=True)

    @model_validator(mode="after")
    def _answer_is_one_of_the_choices(self) -> Self:
        if self.answer >= len(self.choices):
            raise ValueError(f"answer is {self.answer}, but choices are numbered 0 to {len(self.choices) - 1}")
        if len(set(self.choices)) < len(self.choices) or not all(self.choices):
            raise ValueError(f"choices must be different and not empty, found {list(self.choices)!r}")
        return self

    @property
    def chance(self) -> float:
        """One of the choices is right."""
        return 1 / len(self.choices)

    @property
    def solution(self) -> str:
        """The right choice."""
        return self.choices[self.answer]

    def continuations(self) -> tuple[str, ...]:
        """Every choice, in order."""
        return self.choices

    def score(self, answers: Answers) -> Score:
        """Compare the right choice with the best wrong one."""
        means = [likelihood.mean for likelihood in answers.likelihoods]
        margin = means[self.answer] - max(mean for index, mean in enumerate(means) if index != self.answer)
        return Score(score=float(margin > 0), margin=margin)
