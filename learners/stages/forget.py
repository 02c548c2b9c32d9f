"""Forgetting: records of any kind, made as unlikely as what was never trained; never proposed, only asked for."""

from __future__ import annotations

from learners.parts.unlearning import forgotten_rows
from learners.stages import StageInfo

__all__ = ["STAGE"]

STAGE = StageInfo(
    kinds=("text", "instruction", "preference", "tool", "feedback"),
    rows=forgotten_rows,
    form="rows",
    defaults={"learning_rate": 1e-3, "epochs": 100},
)
