"""Continual instruction tuning: conversations, tool calls and approved answers, of which the last turn is learned."""

from __future__ import annotations

from learners.parts.views import rehearsal_rows
from learners.stages import StageInfo

__all__ = ["STAGE"]

STAGE = StageInfo(
    kinds=("instruction", "tool", "feedback"),
    rows=rehearsal_rows,
    form="rows",
    defaults={"learning_rate": 5e-4, "epochs": 3},
)
