"""A cycle and what it found, chose and learned: gaps, plan, verdicts, a person's decisions, the lesson."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from agent.store.columns import Base, identity, now, reference, sequence

__all__ = ["Cycle", "CycleState", "Decision", "GapRow", "Lesson", "Plan", "VerdictRow"]

CycleState = Literal[
    "diagnosing",
    "planning",
    "awaiting_approval",
    "curating",
    "training",
    "measuring",
    "judging",
    "promoting",
    "watching",
    "done",
    "rejected",
    "rolled_back",
    "failed",
    "aborted",
    "no_action",
]


class Cycle(Base):
    """One turn of the loop, a persisted state machine (`agent.store.cycles.LEGAL`).

    Attributes:
        id: `c<number>`.
        trigger: what started it: `pool`, `operator`, `forget`, or `norm` (one was retired).
        active: true under way, NULL once ended; unique, so at most one cycle is under way (promise P5).
        resume_state: in `awaiting_approval`, the state that approval leads to.
        reason: why it stands or ended where it is.
        seconds: work done so far, summed from monotonic clocks by the daemon.
    """

    __tablename__ = "cycles"
    id: Mapped[str] = identity()
    number: Mapped[int] = mapped_column(unique=True)
    state: Mapped[CycleState] = mapped_column(String(32))
    active: Mapped[bool | None] = mapped_column(unique=True)
    trigger: Mapped[str]
    stage: Mapped[str | None]
    method: Mapped[str | None]
    parent: Mapped[str | None] = reference("versions.id")
    anchor: Mapped[str | None] = reference("versions.id")
    candidate: Mapped[str | None] = mapped_column(String(64))
    resume_state: Mapped[str | None]
    reason: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    seconds: Mapped[float | None]


class GapRow(Base):
    """A gap found by a cycle (`monitors.job.Gap`); `rank` 0 is the most severe."""

    __tablename__ = "gaps"
    cycle: Mapped[str] = reference("cycles.id", primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    gap: Mapped[str]
    topic: Mapped[str]
    information_kind: Mapped[str]
    severity: Mapped[float]
    evidence: Mapped[list[str]]
    records: Mapped[list[str]]


class Plan(Base):
    """What a cycle will learn and how; `decided_by` names the model, `rules` or the person that chose it."""

    __tablename__ = "plans"
    cycle: Mapped[str] = reference("cycles.id", primary_key=True)
    plan: Mapped[dict[str, Any]]
    decided_by: Mapped[str]
    reason: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=now)


class VerdictRow(Base):
    """What the gate computed: `phase` is `judging`, or `watching` for the re-check after a promotion."""

    __tablename__ = "verdicts"
    __table_args__ = (Index("uq_verdicts_cycle_phase", "cycle", "phase", unique=True),)
    seq: Mapped[int] = sequence()
    cycle: Mapped[str] = reference("cycles.id")
    phase: Mapped[str] = mapped_column(String(16))
    version: Mapped[str] = reference("versions.id", index=True)
    outcome: Mapped[str]
    verdict: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(default=now)


class Decision(Base):
    """A person's word, recorded: `approve` or `reject` a plan (`version` None) or a candidate."""

    __tablename__ = "decisions"
    seq: Mapped[int] = sequence()
    cycle: Mapped[str | None] = reference("cycles.id", index=True)
    version: Mapped[str | None] = reference("versions.id", index=True)
    decision: Mapped[str]
    who: Mapped[str]
    why: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=now)


class Lesson(Base):
    """What a finished cycle taught the planner."""

    __tablename__ = "lessons"
    cycle: Mapped[str] = reference("cycles.id", primary_key=True)
    text: Mapped[str]
    facts: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(default=now)
