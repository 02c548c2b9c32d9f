"""Kahneman-Tversky optimisation: single answers that people approved or disapproved, with no pair needed.

Loss: mean of w * (1 - sigmoid(beta * s * (log-ratio - z))) over the answers, in nats: equations 7 and 8 of Ethayarajh
et al. 2024, KTO: Model Alignment as Prospect Theoretic Optimization (arXiv:2402.01306). The log-ratio is against the
parent version, s is 1 for an approved answer and -1 for another, and z >= 0 estimates the divergence from the parent on
answers to other prompts. + replay_weight * likelihood of remembered rows. Learns from feedback and from preferences, of
which the chosen and the rejected answer are one judged answer each.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.judgements import judgements
from learners.parts.penalties import RehearsalLikelihood
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Kahneman-Tversky optimisation.

    Attributes:
        batch_size: judged answers in a step; the divergence is estimated on as many.
        beta: strength of the pull towards the parent; the smaller, the further the policy may move.
        desirable_weight: of an approved answer in the loss; None balances: both verdicts weigh alike in all, the more
            frequent one 1 for each answer.
        undesirable_weight: of a disapproved answer, likewise.
        replay_share: part of each batch that is rehearsed.
        replay_weight: weight of the mean negative log-likelihood of the rehearsed tokens.
    """

    batch_size: int = Field(default=8, ge=2)
    beta: float = Field(default=0.1, gt=0)
    desirable_weight: float | None = Field(default=None, gt=0)
    undesirable_weight: float | None = Field(default=None, gt=0)
    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=1.0, ge=0)


def prepare(sources: Sources) -> Material:
    """Feedback and preferences as judged answers."""
    return sources.material(form="labels")


def compose(run: Run) -> Recipe:
    """KTO by trl, rehearsal as a loss term."""
    settings: Settings = run.settings
    desirable, undesirable = _balanced(run.records)
    return Recipe(
        replay_share=settings.replay_share if settings.replay_weight else 0.0,
        losses=(RehearsalLikelihood(settings.replay_weight),) if settings.replay_weight else (),
        trainer={
            "beta": settings.beta,
            "desirable_weight": settings.desirable_weight or desirable,
            "undesirable_weight": settings.undesirable_weight or undesirable,
        },
    )


def _balanced(records: Sequence[Record]) -> tuple[float, float]:
    """Weights of an approved and a disapproved answer with which both verdicts weigh alike, the larger number 1 each.

    Within the range of equation 9 of the paper, at its lower end. 1 and 1 where there is one verdict only.
    """
    verdicts = [one.wanted for record in records for one in judgements(record)]
    wanted = sum(verdicts)
    unwanted = len(verdicts) - wanted
    if not wanted or not unwanted:
        return 1.0, 1.0
    most = max(wanted, unwanted)
    return most / wanted, most / unwanted
