"""How well the model predicts a text."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from monitors.probes.probe import Answers, Probe, Score

__all__ = ["Perplexity"]


class Perplexity(Probe, frozen=True):
    """Scores the inverse perplexity exp(-nll) of `passage` after the prompt, nll being its mean in nats per token.

    The margin is -nll. Without a prompt the passage stands alone: no chat template, nothing but the model's
    begin-of-text token before it.

    Attributes:
        passage: the text to predict.
    """

    scorer: Literal["perplexity"] = "perplexity"
    prompt: str = ""
    template: Literal["chat", "plain"] = "plain"
    passage: str = Field(min_length=1)

    @property
    def text(self) -> str:
        """The passage, for people."""
        return self.passage

    @property
    def solution(self) -> str:
        """The passage."""
        return self.passage

    def continuations(self) -> tuple[str, ...]:
        """The passage."""
        return (self.passage,)

    def score(self, answers: Answers) -> Score:
        """Turn the mean log-likelihood into the two numbers."""
        mean = answers.likelihoods[0].mean
        return Score(score=min(1.0, math.exp(mean)), margin=mean)
