"""From the configuration to a method's settings: only the keys that the chosen method has."""

from __future__ import annotations

from typing import Any

from agent.config import Config
from agent.planner.plan import Candidate
from learners.methods import load_method
from learners.methods.contract import Settings

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
    # a method that states another default for what all methods have needs it, e.g. a mask's learning rate
    restated = settings.__annotations__.keys() & Settings.model_fields.keys()
    return {key: value for key, value in known.items() if key in settings.model_fields and key not in restated}
