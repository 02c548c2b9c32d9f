"""Generative replay: the parent's own texts are rehearsed beside the new ones; no old data is kept.

Shin et al. 2017 (arXiv:1705.08690); for a language model generator and solver are one network, as in LAMOL (Sun et al.
2020, arXiv:1909.03329). The pool is sampled from the parent before the first step and thrown away afterwards. Loss: one
mean over the tokens of new and generated rows, so gamma / (1 + gamma) of the rows of an epoch are generated, as in the
paper with r = 1 / (1 + gamma); LAMOL's task tokens and its own weight for the pool are left out.

A lineage that hears nothing but itself drifts. Two guards (`learners.parts.hearsay`): what a parent says must be about
as likely to it as what the first one of its lineage said, and only so many versions may hear their parent.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import hearsay
from learners.parts.generate import sampled_rows
from learners.parts.mix import reviewed

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Generative replay.

    Attributes:
        generated_share: generated rows for each new row (gamma); 0 is plain fine-tuning.
        generated_tokens: longest generated row.
        temperature, top_k: of the sampling.
        most_generations: versions of a lineage that may rehearse what their parent said.
    """

    generated_share: float = Field(default=0.2, ge=0)
    generated_tokens: int = Field(default=64, ge=8)
    temperature: float = Field(default=1.0, gt=0)
    top_k: int = Field(default=20, ge=1)
    most_generations: int = Field(default=3, ge=1)


def prepare(sources: Sources) -> Material:
    """Put what the parent says in the place of what is remembered.

    Raises:
        InvalidInput: the lineage has heard itself often enough, or the parent says mostly what the first would not.
    """
    settings: Settings = sources.settings
    material = sources.material()
    count = int(len(material.rows) * settings.generated_share) if settings.epochs else 0
    if count == 0:
        return replace(material, remembered=[])
    hearsay.check_depth(sources.memory_folder, settings.most_generations)
    parent = sources.model()
    pool = sampled_rows(
        parent,
        material.tokenizer,
        count,
        max_tokens=min(settings.generated_tokens, settings.max_length_tokens),
        temperature=settings.temperature,
        top_k=settings.top_k,
        seed=sources.seed,
    )
    return replace(material, remembered=hearsay.passing(sources.memory_folder, parent, pool))


def compose(run: Run) -> Recipe:
    """Every epoch passes over the new rows and the whole pool, with one loss."""
    settings: Settings = run.settings
    return Recipe(plan=partial(reviewed, ratio=settings.generated_share, decay=1.0), joined=True)
