"""Plain fine-tuning: nothing is done against forgetting. The baseline that every other method is compared with."""

from __future__ import annotations

from learners.methods import contract
from learners.methods.contract import Recipe, Run

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """No settings beyond the shared ones."""


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage."""
    return Recipe()
