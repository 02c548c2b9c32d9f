"""Experience replay: part of every batch is rehearsed from the replay memory.

Loss, rehearsing beside the new rows: L(new) + replay_weight * L(rehearsed), each the mean over its labelled tokens. The
other placements have one mean over both. In the paper a memory of raw examples is written after each batch; here it is
written after the stage, from all records alike, and it is what every version of a lineage hands on.

Sources: Chaudhry et al. 2019 (arXiv:1902.10486); for the base model's own answers, which the memory starts with, Huang
et al. 2024, "Mitigating Catastrophic Forgetting in Large Language Models with Self-Synthesized Rehearsal"; for a
fraction of each earlier task, Scialom et al. 2022, Continual-T0 (arXiv:2205.12393).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Literal, Self

from pydantic import Field, model_validator

from learners.methods import contract
from learners.methods.contract import Reads, Recipe, Run
from learners.parts import tasks
from learners.parts.mix import Batch, Order, in_turn, within
from learners.parts.penalties import RehearsalLikelihood
from learners.parts.source_order import SourceOrder, by_source

__all__ = ["Settings", "compose", "reads"]


class Settings(contract.Settings):
    """Experience replay.

    Attributes:
        replay_share: part of each batch's rows that is rehearsed; 0 is plain fine-tuning, 0.5 half and half. As a
            `fraction`, of the records of each earlier task; Continual-T0 takes 0.01.
        replay_weight: weight of the mean negative log-likelihood of the rehearsed tokens beside the new rows.
        placement: `beside` rehearses on top of the new rows, in a term of its own; `within` is compute-equivalent:
            rehearsed rows take new rows' places in batches of the usual size; `fraction` learns so many records of
            every earlier task, drawn once, as if they were new. In these two `replay_weight` has no part. Tasks are
            what earlier versions learned with a method that writes them down, see `learners.parts.tasks`.
        source_order: which source is learned when, all its epochs at once, see `learners.parts.source_order`: `mixed`
            shuffles all together, `random` draws an order, `similar` follows each with the one most like it. Other
            orders than `mixed` rehearse `beside`.
    """

    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=0.5, gt=0)
    placement: Literal["beside", "within", "fraction"] = "beside"
    source_order: SourceOrder = "mixed"

    @model_validator(mode="after")
    def _orders_what_is_rehearsed_beside(self) -> Self:
        if self.source_order != "mixed" and self.placement != "beside":
            raise ValueError(f"source_order = {self.source_order!r} rehearses beside, not {self.placement!r}")
        return self


def compose(run: Run) -> Recipe:
    """Rehearse remembered rows beside the new ones of each batch, or among them."""
    settings: Settings = run.settings
    if settings.placement == "within":
        return Recipe(plan=partial(within, share=settings.replay_share), joined=True)
    if settings.placement == "fraction":
        return Recipe(plan=_with_fractions(run), joined=True, after_training=(partial(tasks.write, run),))
    return Recipe(
        replay_share=settings.replay_share,
        plan=by_source(run, settings.source_order, share=settings.replay_share),
        losses=(RehearsalLikelihood(settings.replay_weight),),
    )


def reads(settings: Settings, new: int, remembered: int) -> Reads:
    """The rows that a run goes through; see `learners.methods.contract`."""
    share, learned = settings.replay_share if remembered else 0.0, new * settings.epochs
    if settings.placement == "within":
        return Reads(learned * (1 - share), learned * share)
    if settings.placement == "fraction":
        return Reads(learned, remembered * share * settings.epochs)
    return Reads(learned, learned * share / (1 - share))


def _with_fractions(run: Run) -> Callable[[Order], list[Batch]]:
    """The new rows and a share of every earlier task, as far as the memory still holds so much of it."""
    learned = Counter(tasks.read(run.memory_folder).values())
    draw = random.Random(f"{run.seed}:rehearsal")  # noqa: S311 - sampling, not secrecy
    drawn: list[int] = []
    for number, items in tasks.remembered_by_task(run).items():
        count = round(run.settings.replay_share * max(learned[number], len(items)))
        drawn += [row for _, rows in draw.sample(items, min(count, len(items))) for row in rows]
    return lambda order: in_turn(order, [(range(len(order.lengths)), drawn)])
