"""Direct preference optimisation with rehearsal: the norm is learned, general ability is rehearsed.

Loss: -log sigmoid(beta * (chosen log-ratio - rejected log-ratio)) against the parent version (equation 7 of Rafailov et
al. 2023, arXiv:2305.18290) + sft_weight * likelihood of the chosen answer + replay_weight * likelihood of remembered
rows. All shares and weights at 0 is plain sequential DPO.
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.penalties import RehearsalLikelihood

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Direct preference optimisation with rehearsal.

    Attributes:
        beta: strength of the pull towards the parent; the smaller, the further the policy may move.
        sft_weight: weight of the mean negative log-likelihood of the chosen answers.
        replay_share: part of each batch that is rehearsed.
        replay_weight: weight of the mean negative log-likelihood of the rehearsed tokens.
    """

    beta: float = Field(default=0.1, gt=0)
    sft_weight: float = Field(default=1.0, ge=0)
    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=1.0, ge=0)


def compose(run: Run) -> Recipe:
    """DPO and likelihood by trl, rehearsal as a loss term."""
    settings: Settings = run.settings
    likelihood = settings.sft_weight > 0
    return Recipe(
        replay_share=settings.replay_share if settings.replay_weight else 0.0,
        losses=(RehearsalLikelihood(settings.replay_weight),) if settings.replay_weight else (),
        trainer={
            "beta": settings.beta,
            "loss_type": ["sigmoid", "sft"] if likelihood else ["sigmoid"],
            "loss_weights": [1.0, settings.sft_weight] if likelihood else [1.0],
        },
    )
