"""Infinite learning rate: one warm-up for a whole lineage; every version is annealed, and the next goes on from before.

Ibrahim et al. 2024 (arXiv:2403.08763), section 7: linear warm-up to eta_max, cosine cool-down to eta_const, constant,
and to publish a version an anneal eta_const * (eta_min / eta_const)^v over v in [0, 1]; `learning_rate` is eta_max. The
forms of the curves are our reading, phases are shares of a run, and optimizer states start empty in every stage.
`memory/before_anneal.safetensors` holds the trained weights as they were before the anneal that published the version:
the next stage starts there, at the constant rate, so it neither re-warms nor inherits the anneal. Where another method
trained the parent, its weights are the start and the rate warms up again: what it learned or unlearned must not be
taken back. With `replay_share` the recipe is combined with compute-equivalent replay.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Moment, Recipe, Run
from learners.parts import keep
from learners.parts.mix import within
from learners.parts.penalties import trainable_copy
from learners.parts.schedule import infinite

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose"]

_METHOD, _NAME = "infinite_lr", "before_anneal"


class Settings(contract.Settings):
    """Infinite learning rate.

    Attributes:
        warm_share, cool_share: of a lineage's first run; later runs have neither.
        anneal_share: of every run.
        constant: the constant learning rate, as a factor of the peak.
        floor: the last learning rate, as a factor of the peak.
        replay_share: of each batch's rows.
    """

    warm_share: float = Field(default=0.05, ge=0, le=0.3)
    cool_share: float = Field(default=0.3, ge=0, le=0.4)
    anneal_share: float = Field(default=0.2, ge=0, le=0.3)
    constant: float = Field(default=0.55, gt=0, le=1)
    floor: float = Field(default=0.1, gt=0, le=1)
    replay_share: float = Field(default=0.0, ge=0, lt=1)


def compose(run: Run) -> Recipe:
    """Go on from before the parent's anneal, and keep what is there before one's own."""
    settings: Settings = run.settings
    before = None
    if run.parent.spec.method == _METHOD:
        before = keep.read(run.memory_folder, _NAME, like=trainable_copy(run.model))
    if before is not None and settings.epochs:
        keep.put(before, run.model)
    state: dict[str, torch.Tensor] = {}

    def remember(model: PreTrainedModel, moment: Moment) -> None:
        if moment.step + 1 == moment.steps - round(moment.steps * settings.anneal_share):
            state.update(trainable_copy(model))

    def write() -> None:
        if settings.epochs:
            keep.write(run.memory_folder, _NAME, state or trainable_copy(run.model))

    return Recipe(
        plan=partial(within, share=settings.replay_share),
        joined=True,
        schedule=partial(
            infinite,
            first=before is None,
            warm_share=settings.warm_share,
            cool_share=settings.cool_share,
            anneal_share=settings.anneal_share,
            constant=settings.constant,
            floor=settings.floor,
        ),
        after_step=(remember,),
        state=state,
        after_training=(write,),
    )
