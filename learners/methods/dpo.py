"""Direct preference optimisation, one task after the other and nothing else: what other alignment is compared with.

Loss: -log sigmoid(beta * (chosen log-ratio - rejected log-ratio)), equation 7 of Rafailov et al. 2023, Direct
Preference Optimization (arXiv:2305.18290), in nats; each log-ratio is against the parent version.
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Direct preference optimisation.

    Attributes:
        learning_rate: below the stage's, for nothing holds an answer's own likelihood. SmolLM2 (bfloat16) on pairs that
            ask for short answers and then for answers without a comma: at 3e-4, twenty steps of 4 a task, it said
            nothing at all after the second one; at 1e-4, twelve steps a task, it followed the first rule in 0.94
            instead of 0.44 and the second in 0.81 instead of 0.68 of its answers.
        beta: strength of the pull towards the parent; the smaller, the further the policy may move.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    beta: float = Field(default=0.1, gt=0)


def compose(run: Run) -> Recipe:
    """The stage's own loss by trl."""
    return Recipe(trainer={"beta": run.settings.beta, "loss_type": ["sigmoid"]})
