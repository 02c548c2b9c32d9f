"""The work of worker processes, try by try."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from agent.store.columns import Base, identity, now, reference

__all__ = ["Attempt", "Job", "JobState"]

JobState = Literal["open", "running", "finished"]


class Job(Base):
    """A worker process's work for a step.

    Attributes:
        id: the job folder's name, e.g. `c7-training`.
        kind: key of the worker package's handler table, e.g. `train`.
        package: `learners` or `monitors`.
        attempts, failed_attempts: how many were started, and how many of those failed (being stopped is no failure).
        pid, start_time: identity of the running attempt's process, None when none runs.
        not_before: wall time (seconds since the epoch) before which no further attempt starts (back-off).
        reason, detail: how the last attempt ended.
        result, usage: the answer, recorded exactly once.
    """

    __tablename__ = "jobs"
    id: Mapped[str] = identity()
    cycle: Mapped[str | None] = reference("cycles.id", index=True)
    step: Mapped[str]
    kind: Mapped[str]
    package: Mapped[str]
    state: Mapped[JobState] = mapped_column(String(16), index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    pid: Mapped[int | None]
    start_time: Mapped[float | None]
    failed_attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[float | None]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    opened_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None] = mapped_column(index=True)


class Attempt(Base):
    """One try at a job; `outcome` is None while it runs."""

    __tablename__ = "attempts"
    job: Mapped[str] = reference("jobs.id", primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    pid: Mapped[int]
    start_time: Mapped[float]
    started_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
