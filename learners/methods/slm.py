"""Scalable language model: every version brings slots with keys, and a request gets the slots of the keys most like it.

Peng et al. 2024, Scalable Language Model with Generalized Continual Learning (arXiv:2404.07470). Keys are learned
first, from prompts alone, and left alone then; slots learn through the mixture that their keys give. While a version
is trained its own slots alone can be chosen; afterwards all compete, and no task is named. Keys without a slot, drawn
to remembered prompts that no version learned, leave to the model below what it answers already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import pooled

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]


class Settings(contract.Settings):
    """Scalable language model.

    Attributes:
        lora_rank, lora_alpha, lora_targets: of every slot; those of the first version of a lineage hold for all, as do
            `groups` and `chosen`.
        full_weights: has no part in it; the model is frozen.
        slots: that a version brings.
        groups: of dimensions of a key.
        chosen: slots that answer one request.
        key_rows: most prompts that keys are learned from.
        key_steps: steps that keys learn.
        others: most prompts of the replay memory that no slot learned; they are left to the model below.
    """

    lora_rank: int = Field(default=8, ge=1)
    lora_alpha: int = Field(default=16, ge=1)
    slots: int = Field(default=4, ge=1)
    groups: int = Field(default=6, ge=1)
    chosen: int = Field(default=2, ge=1)
    key_rows: int = Field(default=256, ge=1)
    key_steps: int = Field(default=200, ge=0)
    others: int = Field(default=100, ge=0)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with its slots and new ones."""
    from learners import weights

    settings: Settings = sources.settings
    router = {"kind": "grouped_keys", "groups": settings.groups, "chosen": settings.chosen}
    return pooled.grown(weights.frozen(sources.parent), sources, router, slots=settings.slots)


def compose(run: Run) -> Recipe:
    """Learn the keys; then the slots learn through them."""
    from learners.parts.extensions.routers.grouped_keys import Chooser

    settings: Settings = run.settings
    found = pooled.pool_of(run, Chooser)
    if found is None:
        return Recipe()
    pool, router = found
    pool.first = len(pool) - settings.slots
    ours, below = pooled.examples(run, router, settings.key_rows)
    router.learn_keys(ours, settings.slots, steps=settings.key_steps, seed=run.seed)
    if len(below):
        router.learn_below(below, settings.slots, steps=settings.key_steps, seed=run.seed)
    return pooled.learned(run, pool)
