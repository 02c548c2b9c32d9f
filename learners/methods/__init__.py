"""Every method cld can train with: one literal table, no scanning.

Owns the metadata the planner chooses by; imports no torch, and a method's module only when it is used. A third party
adds a method with one module (see `learners.methods.contract`) and one entry point,

    [project.entry-points."cld.methods"]
    my_method = "my_package:INFO"          # INFO is a MethodInfo whose `module` is the method's module

An entry point is code that whoever installed the package chose to run; nothing in data or configuration names a module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Literal

from learners.failures import InvalidInput
from learners.job import Stage
from learners.methods.contract import Settings
from learners.stages import stage_info

__all__ = ["METHODS", "MethodInfo", "Need", "ServingForm", "load_method", "methods", "settings_for"]

Need = Literal["data", "memory", "parent"]
ServingForm = Literal["adapter", "weights"]
InformationKind = Literal["fact", "domain", "language", "task", "skill", "value", "preference"]


@dataclass(frozen=True)
class MethodInfo:
    """What the planner and the docs know of a method.

    Attributes:
        stages: where it can be used.
        information_kinds: what it is meant to teach (Table 2 of the survey, narrowed to what was tried).
        needs: `data` new records, `memory` a replay memory that is not empty, `parent` a version trained before.
        relative_forgetting: general ability lost, relative to plain fine-tuning; the planner's prior, which the
            outcomes of past cycles correct.
        relative_cost: tokens processed, relative to plain fine-tuning on the same records with default settings.
        serving_form: what a version trained with default settings is: an adapter or full weights.
        paper: where the idea comes from.
        differs: where this implementation differs from the paper, in one sentence.
        module: the method's module.
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


METHODS: dict[str, MethodInfo] = {
    "finetune": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data",),
        relative_forgetting=1.0,
        relative_cost=1.0,
        serving_form="adapter",
        paper="Hu et al. 2022, LoRA: Low-Rank Adaptation of Large Language Models (arXiv:2106.09685)",
        differs="The parent's adapter is trained further instead of starting a new one, so a version has at most one.",
        module="learners.methods.finetune",
    ),
    "replay": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=1.5,
        serving_form="adapter",
        paper="Chaudhry et al. 2019, On Tiny Episodic Memories in Continual Learning (arXiv:1902.10486)",
        differs="Rehearses records of all stages at once, beginning with the base model's own answers "
        "(Huang et al. 2024, arXiv:2403.01244); the memory is updated after a stage, not after each batch.",
        module="learners.methods.replay",
    ),
    "ewc": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "task"),
        needs=("data", "memory"),
        relative_forgetting=0.7,
        relative_cost=1.3,
        serving_form="adapter",
        paper="Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks (arXiv:1612.00796)",
        differs="Anchors the LoRA factors A and B separately, with an online Fisher (Schwarz et al. 2018) of mean 1.",
        module="learners.methods.ewc",
    ),
    "dpo_replay": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=3.0,
        serving_form="adapter",
        paper="Rafailov et al. 2023, Direct Preference Optimization (arXiv:2305.18290)",
        differs="The reference policy is the parent version; adds likelihood of the chosen answer and rehearsal of the "
        "replay memory, without which general ability is lost.",
        module="learners.methods.dpo_replay",
    ),
}


def methods() -> dict[str, MethodInfo]:
    """The table above and the methods of installed packages.

    Raises:
        InvalidInput: an installed package takes a name of the table, or its entry point is not a `MethodInfo`.
    """
    return {**METHODS, **_installed()}


@cache
def _installed() -> dict[str, MethodInfo]:
    found: dict[str, MethodInfo] = {}
    for point in entry_points(group="cld.methods"):
        info = point.load()
        if not isinstance(info, MethodInfo):
            raise InvalidInput(f"entry point {point.name!r} ({point.value}) is not a MethodInfo: {type(info)!r}")
        if point.name in METHODS or point.name in found:
            raise InvalidInput(f"entry point {point.name!r} ({point.value}) has the name of another method; rename it")
        found[point.name] = info
    return found


def load_method(name: str) -> ModuleType:
    """Import a method's module: it has `Settings` and `compose`.

    Raises:
        InvalidInput: no such method.
    """
    known = methods()
    if name not in known:
        raise InvalidInput(f"unknown method {name!r}; known methods: {', '.join(sorted(known))}")
    return import_module(known[name].module)


def settings_for(method: str, stage: Stage, given: Mapping[str, Any]) -> Settings:
    """Complete a method's settings: what was given, over the stage's defaults, over the method's.

    Raises:
        InvalidInput: unknown method, a stage it does not support, an unknown key or a value out of range.
    """
    module = load_method(method)
    if stage not in (supported := methods()[method].stages):
        raise InvalidInput(f"method {method!r} cannot train stage {stage!r}; it supports {', '.join(supported)}")
    return module.Settings.model_validate({**stage_info(stage).defaults, **given})
