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
        beta: strength of the pull towards the parent; the smaller, the further the policy may move.
    """

    beta: float = Field(default=0.1, gt=0)


def compose(run: Run) -> Recipe:
    """The stage's own loss by trl."""
    return Recipe(trainer={"beta": run.settings.beta, "loss_type": ["sigmoid"]})
