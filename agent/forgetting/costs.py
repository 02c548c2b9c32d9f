"""What forgetting by a method of unlearning would cost; what exact forgetting would is known to `replay`.

Seconds are estimated from what training jobs on this machine took per token so far; without one there is no estimate.
Reads the store alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.config import Config
from agent.planner.costs import estimated_tokens, settings_of
from agent.store import Session, jobs
from agent.store.pool import PooledRecord
from learners.methods import methods

__all__ = ["Unlearning", "unlearning"]


@dataclass(frozen=True)
class Unlearning:
    """What a method would cost; `seconds` is None before anything was trained here."""

    method: str
    steps: int
    tokens: int
    seconds: float | None


def unlearning(tx: Session, config: Config, method: str, records: Sequence[PooledRecord]) -> Unlearning:
    """The cost of unlearning `records` with `method`."""
    settings = settings_of(config, "forget", method)
    steps = settings.epochs * math.ceil(len(records) / settings.batch_size)
    passes = settings.epochs * methods()[method].relative_cost
    tokens = round(estimated_tokens([row.record for row in records]) * passes)
    rate = _seconds_per_token(tx)
    return Unlearning(method, steps, tokens, None if rate is None else round(tokens * rate, 1))


def _seconds_per_token(tx: Session) -> float | None:
    spent = jobs.training_spent(tx)
    return spent.wall_seconds / spent.train_tokens if spent.train_tokens else None
