"""Every method cld can train with: literal tables, one per stage, no scanning.

Imports no torch, and a method's module only when it is used. A third party adds a method with one module (see
`learners.methods.contract`) and one entry point,

    [project.entry-points."cld.methods"]
    my_method = "my_package:INFO"          # INFO is a MethodInfo whose `module` is the method's module

An entry point is code that whoever installed the package chose to run; nothing in data or configuration names a module.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from learners.failures import InvalidInput
from learners.job import Stage
from learners.methods.contract import Settings
from learners.methods.info import InformationKind, MethodInfo, Need, ServingForm
from learners.methods.table_ca import CA
from learners.methods.table_cit import CIT
from learners.methods.table_cpt import CPT
from learners.methods.table_forget import FORGET
from learners.nearest import did_you_mean
from learners.stages import stage_info

__all__ = [
    "METHODS", "InformationKind", "MethodInfo", "Need", "ServingForm", "load_method", "methods", "settings_for",
]  # fmt: skip

METHODS: dict[str, MethodInfo] = {**CPT, **CIT, **CA, **FORGET}
"""Every method that comes with cld, by id."""


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
        hint = did_you_mean(name, known, "none is like it;")
        raise InvalidInput(f"unknown method {name!r}; {hint} known methods: {', '.join(sorted(known))}")
    return import_module(known[name].module)


def settings_for(method: str, stage: Stage, given: Mapping[str, Any]) -> Settings:
    """Complete a method's settings: what was given, over the method's own defaults, over the stage's.

    Raises:
        InvalidInput: unknown method, a stage it does not support, an unknown key or a value out of range.
    """
    module = load_method(method)
    if stage not in (supported := methods()[method].stages):
        raise InvalidInput(f"method {method!r} cannot train stage {stage!r}; it supports {', '.join(supported)}")
    own = module.Settings.__annotations__
    defaults = {key: value for key, value in stage_info(stage).defaults.items() if key not in own}
    return module.Settings.model_validate({**defaults, **given})
