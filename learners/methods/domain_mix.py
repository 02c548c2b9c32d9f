"""A mixture of domains: every source gets its share of the batches, and a slice of general text keeps the rest.

Azerbayev et al. 2023, Llemma (arXiv:2310.10631): 95 % of the domain's sources in fixed proportion and 5 % general
data as a regulariser, one warm-up and a cosine to a thirtieth of the peak. PLLaMa (Yang et al. 2024, arXiv:2401.01600)
is the same recipe with one source, followed by a short stage of instructions.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field, field_validator

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts import row_numbers
from learners.parts.mix import weighted
from learners.parts.schedule import rewarm_redecay, warm_hold_decay

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """A mixture of domains.

    Attributes:
        source_weights: weight of each source by name, in any unit; sources that are not named weigh as much as they
            have rows.
        general_share: of each batch, rehearsed from the replay memory.
        schedule: `cosine` as in the paper; `hold` keeps the project's own course of the learning rate. Without weights
            and share that is plain fine-tuning.
        warm_share: of the run that warms up.
        floor: last learning rate, as a factor of the peak.
    """

    source_weights: dict[str, float] = Field(default_factory=dict[str, float])
    general_share: float = Field(default=0.05, ge=0, lt=1)
    schedule: Literal["cosine", "hold"] = "cosine"
    warm_share: float = Field(default=0.02, ge=0, le=1)
    floor: float = Field(default=1 / 30, ge=0, le=1)

    @field_validator("source_weights")
    @classmethod
    def _not_negative(cls, weights: dict[str, float]) -> dict[str, float]:
        for source, weight in weights.items():
            if weight < 0:
                raise ValueError(f"source_weights[{source!r}] is {weight!r}; a weight is 0 or more")
        return weights


def compose(run: Run) -> Recipe:
    """A mix and a schedule; nothing is added to the loss."""
    settings: Settings = run.settings
    cosine = partial(rewarm_redecay, warm_share=settings.warm_share, floor=settings.floor)
    return Recipe(
        plan=partial(
            weighted, groups=_rows_by_source(run), weights=settings.source_weights, share=settings.general_share
        ),
        joined=True,
        schedule=cosine if settings.schedule == "cosine" else warm_hold_decay,
    )


def _rows_by_source(run: Run) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for record, rows in row_numbers.of_records(run):
        groups.setdefault(record.source, []).extend(rows)
    return groups
