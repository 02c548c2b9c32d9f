"""Experience replay: part of every batch is rehearsed from the replay memory.

Sources: Chaudhry et al. 2019 (arXiv:1902.10486); for the base model's own answers, which the memory starts with, Huang
et al. 2024, "Mitigating Catastrophic Forgetting in Large Language Models with Self-Synthesized Rehearsal".
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Attributes: replay_share: part of each batch that is rehearsed; 0 is plain fine-tuning."""

    replay_share: float = Field(default=0.33, ge=0, lt=1)


def compose(run: Run) -> Recipe:
    """Mix remembered rows into each batch."""
    return Recipe(replay_share=run.settings.replay_share)
