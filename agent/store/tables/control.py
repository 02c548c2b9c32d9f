"""What steers and records the daemon: every event, operators' commands, pauses."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agent.store.columns import Base, now, sequence

__all__ = ["Command", "Event", "Pause"]


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
