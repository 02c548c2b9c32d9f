"""What came in: readings of settled files, their records in the pool, what was refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from agent.store.columns import Base, now, reference, sequence
from learners.records import Kind, Record

__all__ = ["Intake", "IntakeFileRow", "PooledRecord", "QuarantineRow", "RecordState"]

RecordState = Literal["waiting", "contested", "claimed", "learned", "refused", "set_aside", "forgotten"]


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
        state: `waiting` in the pool, `contested` while groups disagree (`agent.store.contested`), `claimed` by `cycle`,
            then `learned`, `refused` or `set_aside` for good, or `forgotten` on somebody's word
            (`agent.store.forgetting`).
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
