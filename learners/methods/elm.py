"""Experts by retrieval: every version brings an adapter of its own, and the nearest stored prompts choose among them.

Jang et al. 2023, Exploring the Benefits of Training Expert Language Models over Instruction Tuning (arXiv:2302.03202).
An expert is trained alone on the frozen model, so no expert disturbs another. A request is compared with a library of
embedded prompts, by the nearest or by a vote of some; what is most like prompts of the model below is left to that
model. Where experts are merged, a request gets their weighted sum.
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
    """Experts by retrieval.

    Attributes:
        lora_rank, lora_alpha, lora_targets: of every expert; those of the first version of a lineage hold for all.
        full_weights: has no part in it; the model is frozen.
        library: most stored prompts of an expert.
        others: most stored prompts of the replay memory that no expert learned; they are left to the model below.
        votes: stored prompts, the nearest to a request, that vote which expert answers it; 1: the nearest alone. The
            latest version's word holds for all experts, of `merge` too.
        merge: a request is answered by all experts that have votes, each weighed by its share of them. On a small
            model, with 25 votes, a question that needed two experts cost 2.13 nats a token instead of 3.34, and one
            that needed a single one 0.06 instead of 0.016; voting without merging changed nothing for the better.
    """

    library: int = Field(default=100, ge=1)
    others: int = Field(default=100, ge=0)
    votes: int = Field(default=1, ge=1)
    merge: bool = False


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with its experts and a new one."""
    from learners import weights

    return pooled.grown(weights.frozen(sources.parent), sources, {"kind": "nearest", "examples": []})


def compose(run: Run) -> Recipe:
    """Train the new expert alone, and store prompts that it is found by."""
    from learners.parts.extensions.routers.nearest import Chooser

    settings: Settings = run.settings
    found = pooled.pool_of(run, Chooser)
    if found is None:
        return Recipe()
    pool, router = found
    pool.forced = len(pool) - 1
    router.add(*pooled.examples(run, router, settings.library))
    router.votes, router.merged = settings.votes, settings.merge
    return pooled.learned(run, pool)
