"""Continual alignment: preferences, learned against the parent version as the reference policy."""

from __future__ import annotations

from learners.parts.views import pair_rows
from learners.stages import StageInfo

__all__ = ["STAGE"]

STAGE = StageInfo(
    kinds=("preference",),
    rows=pair_rows,
    form="pairs",
    defaults={"learning_rate": 3e-4, "epochs": 2},
)
