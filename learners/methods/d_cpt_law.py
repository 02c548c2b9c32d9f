"""The D-CPT law: pilot runs measure how much rehearsal the new data needs, and the run takes that much.

Que et al. 2024 (arXiv:2406.01375). A few short runs with different shares of old data are made before training; the
law of the loss on old data is fitted to them (`learners.parts.law`), and the smallest share of rehearsal that keeps
that loss within the tolerance is used, at equal compute.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.law import Law, Point, best_share, fit
from learners.parts.mix import within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from learners.parts.views import Row

__all__ = ["Settings", "compose"]

_PROBE_ROWS = 16
_GRID = tuple(number / 20 for number in range(1, 21))


class Settings(contract.Settings):
    """The D-CPT law.

    Attributes:
        pilot_shares: shares of new data that are tried; none means no pilots and no rehearsal: plain fine-tuning.
        pilot_steps: of each pilot; the loss is measured four times on the way.
        tolerated: relative rise of the loss on old data.
        restarts: of the fit.
    """

    pilot_shares: tuple[float, ...] = (0.5, 0.75, 0.9, 1.0)
    pilot_steps: int = Field(default=12, ge=4)
    tolerated: float = Field(default=0.03, ge=0)
    restarts: int = Field(default=30, ge=1)

    @field_validator("pilot_shares")
    @classmethod
    def _are_shares(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < share <= 1 for share in shares) or len(shares) == 1:
            raise ValueError(f"pilot_shares is {shares!r}; give none, or two or more shares in (0, 1]")
        return shares


def compose(run: Run) -> Recipe:
    """Measure, fit, choose; then rehearse as much inside each batch."""
    settings: Settings = run.settings
    if not settings.pilot_shares or not run.remembered or not settings.epochs:
        return Recipe()
    probe, old = run.remembered[:_PROBE_ROWS], run.remembered[_PROBE_ROWS:] or run.remembered
    law, untouched = _law(run, old, probe)
    tokens = settings.epochs * sum(len(row["input_ids"]) for row in run.new)
    share = best_share(law, tokens=tokens, untouched=untouched, tolerated=settings.tolerated, shares=_GRID)
    return Recipe(plan=partial(within, share=1 - share), joined=True)


def _law(run: Run, old: Sequence[Row], probe: Sequence[Row]) -> tuple[Law, float]:
    from learners.parts.pilot import pilot
    from learners.parts.select import novelty

    settings: Settings = run.settings
    points: list[Point] = []
    for share in settings.pilot_shares:
        points += pilot(
            run.model,
            run.new,
            old,
            probe,
            share=share,
            steps=settings.pilot_steps,
            measured_every=settings.pilot_steps // 4,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            pad=int(run.tokenizer.pad_token_id),  # pyright: ignore
            seed=run.seed,
        )
    before = novelty(run.model, probe)
    return fit(points, restarts=settings.restarts, seed=run.seed), sum(before) / len(before)
