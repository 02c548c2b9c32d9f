"""How likely an answer is that people approved, or how unlikely one that they disapproved."""

from __future__ import annotations

import math
from typing import Final, Literal

from pydantic import Field, StrictBool

from monitors.probes.probe import Answers, Probe, Score

__all__ = ["Approval"]

_HALF_NATS: Final = 3.0


class Approval(Probe, frozen=True):
    """Scores s = sigmoid(3 - nll) of a judged answer after the prompt, or 1 - s of one that is not wanted.

    nll is the answer's mean in nats per token: s is 1/2 at a perplexity of 20, near 1 for what the model says by itself
    and near 0 for what it would hardly say. The probability itself, exp(-nll), would tell neither of two answers from
    the other that people wrote. Single answers without a counterpart count: the mean score over as many wanted as
    unwanted ones is 1/2 plus half of the difference of their mean s. The margin is -nll, or nll.

    Attributes:
        answer: the judged answer.
        wanted: whether it was approved.
    """

    scorer: Literal["approval"] = "approval"
    answer: str = Field(min_length=1)
    wanted: StrictBool

    def continuations(self) -> tuple[str, ...]:
        """The judged answer."""
        return (self.answer,)

    def score(self, answers: Answers) -> Score:
        """Turn the mean log-likelihood into the two numbers."""
        margin = answers.likelihoods[0].mean if self.wanted else -answers.likelihoods[0].mean
        half = _HALF_NATS if self.wanted else -_HALF_NATS
        return Score(score=1.0 / (1.0 + math.exp(-margin - half)), margin=margin)
