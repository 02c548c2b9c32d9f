"""From the configuration to a method's settings: only the keys that the chosen method has."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from agent.config import Config
from agent.planner.plan import Candidate
from learners.methods import load_method

__all__ = ["configured_settings"]


def configured_settings(config: Config, candidate: Candidate) -> dict[str, Any]:
    """Settings of the candidate's method; empty for a candidate that trains nothing."""
    if candidate.stage is None or candidate.method is None:
        return {}
    training = config.training
    known: dict[str, Any] = {
        **getattr(training, candidate.stage).model_dump(),
        "lora_rank": training.lora_rank,
        "lora_alpha": training.lora_alpha,
        "lora_targets": training.lora_targets,
        "full_weights": training.full_weights,
        "packing": training.packing,
        "precision": training.precision,
        "gradient_checkpointing": training.gradient_checkpointing,
        "memory_records": config.replay.memory_records,
    }
    settings = load_method(candidate.method).Settings
    # a method that states another default for what all methods, or all of its family, have needs it: a mask's learning
    # rate, or how much is kept where two terms keep
    restated = settings.__annotations__.keys() & _inherited(settings)
    return {key: value for key, value in known.items() if key in settings.model_fields and key not in restated}


def _inherited(settings: type[BaseModel]) -> set[str]:
    """Names of the settings that the classes above this one have."""
    return {name for above in settings.__mro__[1:] if issubclass(above, BaseModel) for name in above.model_fields}
