"""What is known of a method before it is imported: the metadata that the planner, the command line and the docs read.

Owns the record only; the methods themselves are listed in the tables beside it, one per stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from learners.job import Stage
from learners.records import Kind

__all__ = ["InformationKind", "MethodInfo", "Need", "ServingForm"]

Need = Literal["data", "memory", "norms", "parent"]
ServingForm = Literal["adapter", "weights", "extension"]
InformationKind = Literal["fact", "domain", "language", "task", "skill", "value", "preference"]


@dataclass(frozen=True)
class MethodInfo:
    """What the planner and the docs know of a method.

    Attributes:
        stages: where it can be used; the first is the one that the survey files it under.
        information_kinds: what it is meant to teach (Table 2 of the survey, narrowed to what was tried).
        needs: `data` new records, `memory` a replay memory that is not empty, `norms` preferences that name norms,
            `parent` a version trained before.
        relative_forgetting: general ability lost, relative to plain fine-tuning; the planner's prior, which the
            outcomes of past cycles correct.
        relative_cost: tokens processed, relative to plain fine-tuning on the same records with default settings.
        serving_form: what a version trained with default settings is: an adapter, full weights, or a base with an
            extension (`learners.parts.extensions`), which only cld's own engine serves.
        paper: where the idea comes from.
        differs: where this implementation differs from the paper, in one sentence.
        module: the method's module.
        planned: the planner may choose it unasked: results on a real model speak for it. Every other method is trained
            only where an operator or a benchmark names it.
        planned_on: those results where they are thin: what was seen, and why it is planned all the same.
        kinds: record kinds it learns from; empty for those of its stage. A selection with others is not planned for
            it, since it would leave them unlearned.
        experimental: what was measured where the claimed benefit did not show; empty for all others.
    """

    stages: tuple[Stage, ...]
    information_kinds: tuple[InformationKind, ...]
    needs: tuple[Need, ...]
    relative_forgetting: float
    relative_cost: float
    serving_form: ServingForm
    paper: str
    differs: str
    module: str
    planned: bool = False
    planned_on: str = ""
    kinds: tuple[Kind, ...] = ()
    experimental: str = ""
