"""The D-CPT law: pilot runs measure how much rehearsal the new data needs, and the run takes that much.

Que et al. 2024 (arXiv:2406.01375). A few short runs with different shares of old data are made before training; the
law L(D, r) = E + B r^eta / D^beta + C / (r + epsilon)^gamma of the loss on old data is fitted to them
(`learners.parts.law`), and the largest share of new data with L <= (1 + tolerated) * L_0 is used, at equal compute:
usage 1 of the paper. Usage 2, for new data of which there is little: the law of the loss on new data is fitted, all of
it is learned, D = D_new / r, and r is what makes that loss least. Usage 3 chooses the size of a model, of which a data
root has one. In the paper D runs over model sizes and billions of tokens; here it is one model and a dozen steps, so a
pilot is trusted as far as its fit is good. What was measured and chosen is kept in `memory/law.json`, which later
versions inherit.

Usage 2 on 64 texts of a language, with 256 of the old one to rehearse, one seed: where three words in ten go on as in
the old one it took a share of 0.85 (3.07 nats on the new language; with 1, 0.75 and 0.5: 3.06, 3.10 and 3.16), where
nine in ten do, 0.5 (2.84; with 1, 0.75 and 0.5: 3.05, 2.90 and 2.84), though there the fit was poor (R^2 0.29).
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.law import Law, Point, best_share, best_share_of_limited, fit
from learners.parts.mix import within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from learners.parts.rows import Row

__all__ = ["Settings", "compose"]

_FILE = "law.json"
_PROBE_ROWS = 16
_GRID = tuple(number / 20 for number in range(1, 21))


class Settings(contract.Settings):
    """The D-CPT law.

    Attributes:
        goal: `keep_old` is usage 1; `learn_new` is usage 2, which rehearses on top of the new rows, and tries no share
            outside of `pilot_shares`: at 0.5 it takes twice the time.
        pilot_shares: shares of new data that are tried; none means no pilots and no rehearsal: plain fine-tuning.
        pilot_steps: of each pilot; the loss is measured four times on the way.
        tolerated: relative rise of the loss on old data, for `keep_old`.
        restarts: of the fit.
    """

    goal: Literal["keep_old", "learn_new"] = "keep_old"
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
    """Measure, fit, choose; then rehearse as much. Without a memory or pilots nothing is added."""
    settings: Settings = run.settings
    if not settings.pilot_shares or not run.remembered or not settings.epochs:
        return Recipe()
    tokens = settings.epochs * sum(len(row["input_ids"]) for row in run.new)
    if settings.goal == "learn_new":
        share, found = _for_the_new(run, tokens)
        return Recipe(replay_share=1 - share, joined=True, after_training=(partial(_write, run, found),))
    share, found = _for_the_old(run, tokens)
    return Recipe(plan=partial(within, share=1 - share), joined=True, after_training=(partial(_write, run, found),))


def _for_the_old(run: Run, tokens: int) -> tuple[float, dict[str, Any]]:
    """The largest share of new data that keeps the old, and what was found."""
    settings: Settings = run.settings
    probe, old = run.remembered[:_PROBE_ROWS], run.remembered[_PROBE_ROWS:] or run.remembered
    points, untouched = _measured(run, run.new, old, probe)
    law = fit(points, restarts=settings.restarts, seed=run.seed)
    share = best_share(law, tokens=tokens, untouched=untouched, tolerated=settings.tolerated, shares=_GRID)
    expected = law.loss(tokens, 1 - share)
    return share, _told(law, points, tokens=tokens, untouched=untouched, share=share, expected=expected)


def _for_the_new(run: Run, tokens: int) -> tuple[float, dict[str, Any]]:
    """The share of new data, between those that were tried, with which it is learned best, and what was found."""
    settings: Settings = run.settings
    every = max(2, len(run.new) // _PROBE_ROWS)
    probe = run.new[::every]
    learned = [row for place, row in enumerate(run.new) if place % every] or run.new
    points, untouched = _measured(run, learned, run.remembered, probe)
    law = fit([replace(point, share=1 - point.share) for point in points], restarts=settings.restarts, seed=run.seed)
    low, high = min(settings.pilot_shares), max(settings.pilot_shares)
    tried = [share for share in _GRID if low <= share <= high] or [high]
    share = best_share_of_limited(law, tokens=tokens, shares=tried)
    expected = law.loss(tokens / share, share)
    return share, _told(law, points, tokens=round(tokens / share), untouched=untouched, share=share, expected=expected)


def _measured(run: Run, new: Sequence[Row], old: Sequence[Row], probe: Sequence[Row]) -> tuple[list[Point], float]:
    """The points of all pilots, by the share of old data, and the loss on `probe` before them (nats)."""
    from learners.parts.pilot import pilot
    from learners.parts.select import novelty

    settings: Settings = run.settings
    points: list[Point] = []
    for share in settings.pilot_shares:
        points += pilot(
            run.model,
            new,
            old,
            probe,
            share=share,
            steps=settings.pilot_steps,
            measured_every=settings.pilot_steps // 4,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            seed=run.seed,
        )
    before = novelty(run.model, probe)
    return points, sum(before) / len(before)


def _told(
    law: Law, points: Sequence[Point], *, tokens: int, untouched: float, share: float, expected: float
) -> dict[str, Any]:
    """What an operator reads: losses in nats, shares of new data."""
    return {
        "new_share": share,
        "tokens": tokens,
        "loss_before": untouched,
        "loss_expected": expected,
        "r_squared": None if math.isnan(law.r_squared) else law.r_squared,
        "pilots": [{"new_share": 1 - one.share, "tokens": one.tokens, "loss": one.loss} for one in points],
    }


def _write(run: Run, found: dict[str, Any]) -> None:
    run.memory_folder.mkdir(parents=True, exist_ok=True)
    (run.memory_folder / _FILE).write_text(json.dumps(found, sort_keys=True) + "\n", encoding="utf-8")
