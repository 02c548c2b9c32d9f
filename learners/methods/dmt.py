"""Dual-stage mixed fine-tuning: special skills first, then general conversation with a few of the special records.

Dong et al. 2023 (arXiv:2310.05492): what is learned in a first stage survives a second one of another kind when a small
part of it is mixed in. Special is what this selection has beside the sources called general, and what the replay memory
kept of earlier instruction tuning, so the first stage may lie versions back.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts import row_numbers
from learners.parts.mix import in_turn

if TYPE_CHECKING:
    from learners.parts.mix import Batch, Order

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Dual-stage mixed fine-tuning.

    Attributes:
        general_sources: names of the sources that come last; without one of them in the selection, everything is
            special, which is plain fine-tuning.
        special_share: of the special rows that are mixed into the general ones; the paper's 1/256.
        fewest_rows: that are mixed in where there are so many, however small the share; 0 leaves it to the share.
    """

    general_sources: tuple[str, ...] = ()
    special_share: float = Field(default=1 / 256, ge=0, le=1)
    fewest_rows: int = Field(default=64, ge=0)


def compose(run: Run) -> Recipe:
    """Two turns, each with all its epochs."""
    settings: Settings = run.settings
    special: list[int] = []
    last: list[int] = []
    for record, rows in row_numbers.of_records(run):
        (last if record.source in settings.general_sources else special).extend(rows)
    past = [
        row
        for item, rows in row_numbers.of_memory(run)
        if item.stage == "cit" and item.record.source not in settings.general_sources
        for row in rows
    ]

    def plan(order: Order) -> list[Batch]:
        if not last:
            return in_turn(order, [(special, [])])
        again, remembered = _mixed_in(special, past, settings, run.seed)
        return in_turn(order, [(special, []), ([*last, *again], remembered)])

    return Recipe(plan=plan, joined=True)


def _mixed_in(special: list[int], past: list[int], settings: Settings, seed: int) -> tuple[list[int], list[int]]:
    """A sample of the special rows: of those that are new, and of those that are remembered."""
    pool = [*((True, row) for row in special), *((False, row) for row in past)]
    count = min(len(pool), max(settings.fewest_rows, round(settings.special_share * len(pool))))
    drawn = random.Random(f"{seed}:special").sample(pool, count)  # noqa: S311 - sampling, not secrecy
    return [row for new, row in drawn if new], [row for new, row in drawn if not new]
