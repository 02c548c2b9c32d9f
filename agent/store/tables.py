"""Every table of the store, as typed ORM classes; rows of these classes are what the store's functions return.

Owns the shape of the data; holds no queries. A returned row is a reading: it stays usable after its transaction
ended, and assigning to it is refused at flush (`agent.store` installs that guard), because every change goes through
a function that also records an event. Changing a table here needs a migration beside it (`migrations/versions`);
a test compares the two.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agent.store.columns import Base, identity, now, reference, sequence
from learners.records import Kind, Record

__all__ = [
    "Attempt",
    "Base",
    "Command",
    "Cycle",
    "CycleState",
    "Decision",
    "Deployment",
    "Event",
    "GapRow",
    "Intake",
    "IntakeFileRow",
    "Job",
    "JobState",
    "Lesson",
    "MeasurementRow",
    "Pause",
    "Plan",
    "PooledRecord",
    "QuarantineRow",
    "RecordState",
    "VerdictRow",
    "Version",
    "VersionState",
    "now",
]

RecordState = Literal["waiting", "claimed", "learned", "refused", "set_aside"]
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
JobState = Literal["open", "running", "finished"]
VersionState = Literal["candidate", "kept", "damaged", "swept"]


class Event(Base):
    """One state change: who, when, why (promise P10). Append-only by trigger."""

    __tablename__ = "events"
    __table_args__: ClassVar = {"sqlite_autoincrement": True}
    seq: Mapped[int] = sequence()
    at: Mapped[datetime] = mapped_column(default=now)
    action: Mapped[str]
    subject: Mapped[str] = mapped_column(index=True)
    who: Mapped[str]
    why: Mapped[str]
    detail: Mapped[dict[str, Any]]


class Intake(Base):
    """One reading of settled files of a source, by the job `intake-<number>`; open until recorded or failed.

    Attributes:
        state: `open`, `recorded` or `failed`.
        read, kept, duplicate, quarantined: items, with read = kept + duplicate + quarantined (promise P9).
    """

    __tablename__ = "intakes"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    claimed_at: Mapped[datetime] = mapped_column(default=now)
    closed_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    read: Mapped[int] = mapped_column(default=0)
    kept: Mapped[int] = mapped_column(default=0)
    duplicate: Mapped[int] = mapped_column(default=0)
    quarantined: Mapped[int] = mapped_column(default=0)

    @property
    def job_id(self) -> str:
        """The job that reads the files."""
        return f"intake-{self.number}"


class IntakeFileRow(Base):
    """One file of an intake as it was when claimed; `sha256` is known once the intake is recorded."""

    __tablename__ = "intake_files"
    __table_args__ = (Index("ix_intake_files_source_path", "source", "path"),)
    intake: Mapped[int] = mapped_column(ForeignKey("intakes.number"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None]


class PooledRecord(Base):
    """A record in the pool or already consumed.

    Attributes:
        seq: order of arrival.
        state: `waiting` in the pool, `claimed` by `cycle`, then `learned`, `refused` or `set_aside` for good.
        returns: how often a failed cycle gave it back to the pool.
    """

    __tablename__ = "records"
    __table_args__ = (
        Index("ix_records_state_seq", "state", "seq"),
        Index("ix_records_state_kind", "state", "kind"),
        Index("ix_records_cycle_source", "cycle", "source"),
    )
    seq: Mapped[int] = sequence()
    id: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[str]
    kind: Mapped[Kind] = mapped_column(String(16))
    content: Mapped[dict[str, Any]]
    origin: Mapped[str]
    intake: Mapped[int] = mapped_column(ForeignKey("intakes.number"), index=True)
    received_at: Mapped[datetime] = mapped_column(default=now)
    state: Mapped[RecordState] = mapped_column(String(16), default="waiting")
    returns: Mapped[int] = mapped_column(default=0)
    cycle: Mapped[str | None] = reference("cycles.id")

    @property
    def record(self) -> Record:
        """The record as the other packages know it."""
        return Record(id=self.id, source=self.source, kind=self.kind, content=self.content, origin=self.origin)


class QuarantineRow(Base):
    """One refused item and why; the content itself is not kept, only a short printable excerpt."""

    __tablename__ = "quarantine"
    seq: Mapped[int] = sequence()
    intake: Mapped[int] = mapped_column(ForeignKey("intakes.number"), index=True)
    source: Mapped[str]
    origin: Mapped[str]
    reason: Mapped[str]
    excerpt: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=now)


class Cycle(Base):
    """One turn of the loop, a persisted state machine (`agent.store.cycles.LEGAL`).

    Attributes:
        id: `c<number>`.
        trigger: what started it: `data`, `operator`, `cron`.
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


class Version(Base):
    """An immutable, hashed set of weights under `versions/<id>/`.

    Attributes:
        id: `v<number>`; number is the cycle's, 0 for the imported base.
        base: full-weight version that this adapter sits on, None for full weights.
        digest: SHA-256 of the folder's manifest.json.
        state: `candidate` until it serves or is kept; `damaged` failed its hashes; `swept` has no files any more.
        anchor: true for the one anchor, NULL for every other.
        card, facts: what people and the history index read.
    """

    __tablename__ = "versions"
    id: Mapped[str] = identity()
    number: Mapped[int] = mapped_column(unique=True)
    parent: Mapped[str | None] = reference("versions.id")
    base: Mapped[str | None] = reference("versions.id")
    digest: Mapped[str] = mapped_column(String(64))
    stage: Mapped[str | None]
    method: Mapped[str | None]
    cycle: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[VersionState] = mapped_column(String(16), index=True)
    pinned: Mapped[bool] = mapped_column(default=False)
    anchor: Mapped[bool | None] = mapped_column(unique=True)
    card: Mapped[str | None]
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(default=now)


class MeasurementRow(Base):
    """One probe's score on one version under one engine setting, kept for ever (`monitors.job.Measurement`)."""

    __tablename__ = "measurements"
    version: Mapped[str] = reference("versions.id", primary_key=True)
    suite_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    probe: Mapped[str] = mapped_column(primary_key=True)
    engine: Mapped[str] = mapped_column(String(64), primary_key=True)
    suite: Mapped[str]
    role: Mapped[str] = mapped_column(String(16))
    slice: Mapped[str]
    scorer: Mapped[str]
    score: Mapped[float]
    margin: Mapped[float | None]
    output: Mapped[str]
    job: Mapped[str]


class Deployment(Base):
    """One position of the pointer to the version that serves; the greatest generation is the current one.

    Append-only: a move inserts the next generation, so history cannot be rewritten and two moves from the same
    generation cannot both succeed.
    """

    __tablename__ = "deployments"
    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[str] = reference("versions.id", index=True)
    previous: Mapped[str | None] = reference("versions.id")
    cause: Mapped[Literal["initial", "promote", "rollback"]] = mapped_column(String(16))
    who: Mapped[str]
    why: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(default=now)


class Command(Base):
    """What an operator asked of the daemon, and its answer; `outcome` is None until answered."""

    __tablename__ = "commands"
    id: Mapped[int] = sequence()
    key: Mapped[str | None] = mapped_column(unique=True)
    verb: Mapped[str]
    args: Mapped[dict[str, Any]]
    who: Mapped[str]
    submitted_at: Mapped[datetime] = mapped_column(default=now)
    outcome: Mapped[str | None] = mapped_column(String(16), index=True)
    message: Mapped[str | None]
    data: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    answered_at: Mapped[datetime | None]


class Pause(Base):
    """One reason why no new step starts; it holds until lifted.

    Attributes:
        code: the condition: `operator`, `disk`, `breaker`, ...
        holds: true until lifted, then NULL; unique with the code, so a condition pauses once.
        fix: the command or action that ends it.
        lifted_after_cycle: newest cycle number when lifted, so that the breaker counts afresh.
    """

    __tablename__ = "pauses"
    __table_args__ = (UniqueConstraint("code", "holds"),)
    seq: Mapped[int] = sequence()
    code: Mapped[str] = mapped_column(String(32))
    holds: Mapped[bool | None] = mapped_column(default=True)
    reason: Mapped[str]
    who: Mapped[str]
    fix: Mapped[str]
    since: Mapped[datetime] = mapped_column(default=now)
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None]
    lifted_after_cycle: Mapped[int | None]


class Lesson(Base):
    """What a finished cycle taught the planner."""

    __tablename__ = "lessons"
    cycle: Mapped[str] = reference("cycles.id", primary_key=True)
    text: Mapped[str]
    facts: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(default=now)
