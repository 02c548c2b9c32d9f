"""What forgetting would cost: by a method of unlearning, and exactly, by replaying the lineage without the records.

Seconds are estimated from what training jobs on this machine took per token so far; without one there is no estimate.
The cost of the replay is what the same training cost the first time. Reads the store alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.config import Config
from agent.forgetting.lineage import Lineage
from agent.history.diff import line
from agent.planner.plan import Candidate
from agent.planner.settings import configured_settings
from agent.planner.situation import estimated_tokens
from agent.store import Session, jobs, plans, pool, versions
from agent.store.pool import PooledRecord
from learners.methods import methods, settings_for

__all__ = ["Exact", "Replayed", "Unlearning", "exact", "unlearning"]


@dataclass(frozen=True)
class Unlearning:
    """What a method would cost; `seconds` is None before anything was trained here."""

    method: str
    steps: int
    tokens: int
    seconds: float | None


@dataclass(frozen=True)
class Replayed:
    """One cycle of the replay: its stored plan, how many of its records are left, and what training it cost."""

    cycle: str
    version: str
    stage: str
    method: str
    records_before: int
    records_after: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Exact:
    """Exact forgetting: the plans that would be trained again, from `start`, and what they cost the first time.

    A plan of which no record is left is not trained and costs nothing.

    Attributes:
        refused: why it cannot be had; None where it can.
    """

    start: str
    plans: tuple[Replayed, ...]
    tokens: int
    seconds: float
    refused: str | None


def unlearning(tx: Session, config: Config, method: str, records: Sequence[PooledRecord]) -> Unlearning:
    """The cost of unlearning `records` with `method`."""
    candidate = Candidate(id=f"forget.{method}", action="train", stage="forget", method=method)
    settings = settings_for(method, "forget", configured_settings(config, candidate))
    steps = settings.epochs * math.ceil(len(records) / settings.batch_size)
    passes = settings.epochs * methods()[method].relative_cost
    tokens = round(estimated_tokens([row.record for row in records]) * passes)
    rate = _seconds_per_token(tx)
    return Unlearning(method, steps, tokens, None if rate is None else round(tokens * rate, 1))


def exact(tx: Session, found: Lineage) -> Exact | None:
    """The replay that would forget exactly; None where the serving version's line learned none of the records."""
    if not found.taught:
        return None
    first = found.taught[0]
    again = [row for row in line(tx, versions.get(tx, found.serving), until=first.parent) if row.stage != "forget"]
    gone = frozenset(record for turn in found.taught for record in turn.records)
    replayed = tuple(_replayed(tx, row, gone) for row in reversed(again))
    start = versions.get(tx, first.parent)
    lost = start.state in ("damaged", "swept")
    return Exact(
        start=start.id,
        plans=replayed,
        tokens=sum(one.tokens for one in replayed if one.records_after),
        seconds=round(sum(one.seconds for one in replayed if one.records_after), 1),
        refused=f"{start.id}, from which it would start, is {start.state}" if lost else None,
    )


def _replayed(tx: Session, version: versions.Version, gone: frozenset[str]) -> Replayed:
    cycle = version.cycle or ""
    plan = plans.find(tx, cycle)
    records: list[str] = list(plan.plan.get("records", ())) if plan else []
    left = [row for row in pool.get(tx, records) if row.id not in gone and row.state != "forgotten"]
    trained = [job for job in jobs.of_cycle(tx, cycle) if job.kind == "train"]
    return Replayed(
        cycle=cycle,
        version=version.id,
        stage=version.stage or "",
        method=version.method or "",
        records_before=len(records),
        records_after=len(left),
        tokens=sum(int((job.result or {}).get("tokens") or 0) for job in trained),
        seconds=sum(float((job.usage or {}).get("wall_seconds") or 0.0) for job in trained),
    )


def _seconds_per_token(tx: Session) -> float | None:
    spent = jobs.training_spent(tx)
    return spent.wall_seconds / spent.train_tokens if spent.train_tokens else None
