"""Whether the verifiable instructions of a prompt were followed: IFEval (Zhou et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import regex
from pydantic import BaseModel, ConfigDict, Field, model_validator

from learners.nearest import did_you_mean
from monitors.probes.probe import Answers, Probe, Score
from monitors.probes.scorers.verifiers import VERIFIERS, follows, loosened, problem

__all__ = ["Accuracies", "Given", "Ifeval", "accuracies"]

_TOLD: Final = regex.compile(r"strict (\d+) of (\d+), loose (\d+) of \d+(?:;|\n|$)")


class Given(BaseModel, frozen=True):
    """One instruction of a prompt: a key of `monitors.probes.scorers.verifiers.VERIFIERS` and its arguments."""

    model_config = ConfigDict(extra="forbid")

    id: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_verified(self) -> Self:
        if self.id not in VERIFIERS:
            hint = did_you_mean(self.id, VERIFIERS, f"legal: {', '.join(VERIFIERS)}")
            raise ValueError(f"unknown instruction {self.id!r}; {hint}")
        if why := problem(self.id, self.arguments):
            raise ValueError(why)
        return self


class Ifeval(Probe, frozen=True):
    """Scores 1 where the answer follows every instruction as it stands: IFEval's prompt-level strict accuracy.

    The output begins with a line that counts what was followed, strictly and loosely, so that `accuracies` can tell all
    four accuracies of the paper from stored measurements.

    Attributes:
        instructions: what the prompt asks for.
    """

    generates = True

    scorer: Literal["ifeval"] = "ifeval"
    instructions: tuple[Given, ...] = Field(min_length=1)

    def score(self, answers: Answers) -> Score:
        """Verify every instruction on the text, and on its looser readings."""
        readings = loosened(answers.text)
        strict = [follows(given.id, given.arguments, answers.text) for given in self.instructions]
        loose = [any(follows(given.id, given.arguments, text) for text in readings) for given in self.instructions]
        missed = [given.id for given, held in zip(self.instructions, strict, strict=True) if not held]
        asked = len(self.instructions)
        told = f"strict {sum(strict)} of {asked}, loose {sum(loose)} of {asked}"
        named = f"; missed {', '.join(missed)}" if missed else ""
        return Score(float(all(strict)), output=f"{told}{named}\n{answers.text}")


@dataclass(frozen=True, slots=True)
class Accuracies:
    """The four accuracies of IFEval, in [0, 1]."""

    prompt_strict: float
    instruction_strict: float
    prompt_loose: float
    instruction_loose: float


def accuracies(outputs: Iterable[str]) -> Accuracies:
    """The paper's four accuracies from the outputs of `Ifeval` measurements.

    Raises:
        ValueError: there are none, or an output is not of this scorer.
    """
    counts: list[tuple[int, int, int]] = []
    for output in outputs:
        told = _TOLD.match(output)
        if told is None:
            raise ValueError(f"the output {output[:60]!r} does not begin with what the scorer 'ifeval' counts")
        counts.append((int(told[1]), int(told[3]), int(told[2])))
    if not counts:
        raise ValueError("no measurement of the scorer 'ifeval' was given")
    asked = sum(of for _, _, of in counts)
    return Accuracies(
        prompt_strict=sum(strict == of for strict, _, of in counts) / len(counts),
        instruction_strict=sum(strict for strict, _, _ in counts) / asked,
        prompt_loose=sum(loose == of for _, loose, of in counts) / len(counts),
        instruction_loose=sum(loose for _, loose, _ in counts) / asked,
    )
