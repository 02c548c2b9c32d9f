"""Continual pre-training: plain text, every token learned."""

from __future__ import annotations

from learners.parts.views import text_rows
from learners.stages import StageInfo

__all__ = ["STAGE"]

STAGE = StageInfo(kinds=("text",), rows=text_rows, form="rows", defaults={"learning_rate": 5e-4, "epochs": 4})
