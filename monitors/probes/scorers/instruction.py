"""Whether an instruction was followed, judged by machine-checkable properties of the answer."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learners.nearest import did_you_mean
from monitors.probes.checks import CHECKS, value_problem
from monitors.probes.probe import Answers, Probe, Score

__all__ = ["Instruction", "Property"]


class Property(BaseModel, frozen=True):
    """One property the answer must have: a key of `monitors.probes.checks.CHECKS` and its value."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    value: Any

    @model_validator(mode="after")
    def _kind_is_known_and_the_value_fits(self) -> Self:
        if self.kind not in CHECKS:
            hint = did_you_mean(self.kind, CHECKS, f"legal kinds: {', '.join(CHECKS)}")
            raise ValueError(f"unknown check {self.kind!r}; {hint}")
        if problem := value_problem(self.kind, self.value):
            raise ValueError(f"check {self.kind!r} {problem}")
        return self


class Instruction(Probe, frozen=True):
    """Scores 1 where the generated answer has every property asked for (IFEval's strict prompt-level accuracy).

    Attributes:
        checks: the properties.
    """

    generates = True

    scorer: Literal["instruction"] = "instruction"
    checks: tuple[Property, ...] = Field(min_length=1)

    def score(self, answers: Answers) -> Score:
        """Test every property on the stripped text; an empty one has followed nothing."""
        text = answers.text.strip()
        followed = bool(text) and all(CHECKS[check.kind].holds(text, check.value) for check in self.checks)
        return Score(float(followed), output=answers.text)
