"""The D-CPT law: pilot runs measure how much rehearsal the new data needs, and the run takes that much.

Que et al. 2024 (arXiv:2406.01375). A few short runs with different shares of old data are made before training; the
law L(D, r) = E + B r^eta / D^beta + C / (r + epsilon)^gamma of the loss on old data is fitted to them
(`learners.parts.law`), and the largest share of new data with L <= (1 + tolerated) * L_0 is used, at equal compute:
usage 1 of the paper. There D runs over model sizes and billions of tokens; here it is one model and a dozen steps, so a
pilot is trusted as far as its fit is good. What was measured and chosen is kept in `memory/law.json`, which later
versions inherit.
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.law import Law, Point, best_share, fit
from learners.parts.mix import within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from learners.parts.views import Row

__all__ = ["Settings", "compose"]

_FILE = "law.json"
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
    """Measure, fit, choose; then rehearse as much inside each batch. Without a memory or pilots nothing is added."""
    settings: Settings = run.settings
    if not settings.pilot_shares or not run.remembered or not settings.epochs:
        return Recipe()
    probe, old = run.remembered[:_PROBE_ROWS], run.remembered[_PROBE_ROWS:] or run.remembered
    points, untouched = _measured(run, old, probe)
    law = fit(points, restarts=settings.restarts, seed=run.seed)
    tokens = settings.epochs * sum(len(row["input_ids"]) for row in run.new)
    share = best_share(law, tokens=tokens, untouched=untouched, tolerated=settings.tolerated, shares=_GRID)
    found = _told(law, points, tokens=tokens, untouched=untouched, share=share)
    return Recipe(plan=partial(within, share=1 - share), joined=True, after_training=(partial(_write, run, found),))


def _measured(run: Run, old: Sequence[Row], probe: Sequence[Row]) -> tuple[list[Point], float]:
    """The points of all pilots, and the loss on old data before them (nats)."""
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
    return points, sum(before) / len(before)


def _told(law: Law, points: Sequence[Point], *, tokens: int, untouched: float, share: float) -> dict[str, Any]:
    """What an operator reads: losses in nats, shares of new data."""
    return {
        "new_share": share,
        "tokens": tokens,
        "loss_before": untouched,
        "loss_expected": law.loss(tokens, 1 - share),
        "r_squared": None if math.isnan(law.r_squared) else law.r_squared,
        "pilots": [{"new_share": 1 - one.share, "tokens": one.tokens, "loss": one.loss} for one in points],
    }


def _write(run: Run, found: dict[str, Any]) -> None:
    run.memory_folder.mkdir(parents=True, exist_ok=True)
    (run.memory_folder / _FILE).write_text(json.dumps(found, sort_keys=True) + "\n", encoding="utf-8")
