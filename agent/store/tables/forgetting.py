"""What people asked to be forgotten, and the certificates of what was."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from agent.store.columns import Base, identity, now, reference, sequence

__all__ = ["ForgetCertificate", "ForgetRequest", "ForgetState"]

ForgetState = Literal["open", "done", "ended"]


class ForgetRequest(Base):
    """One request; it names records by id, which is a hash, and never by content.

    Attributes:
        id: `f<number>`.
        state: `open` while its cycle works, `done` once certified, `ended` where the cycle ended otherwise.
        asked: how the records were chosen: `by` (`record`, `source` or `query`) and the values; of a query its hash.
        records: ids of all of them; `learned` of those that the serving version had learned.
        method: of unlearning; None where no version had learned any.
        redact: whether their content is taken out of the database with the certificate.
        cycle: the cycle that unlearns; None where none is needed.
        reason: why it stands or ended where it is.
    """

    __tablename__ = "forget_requests"
    id: Mapped[str] = identity()
    number: Mapped[int] = mapped_column(unique=True)
    state: Mapped[ForgetState] = mapped_column(String(16))
    who: Mapped[str]
    why: Mapped[str]
    asked: Mapped[dict[str, Any]]
    records: Mapped[list[str]]
    learned: Mapped[list[str]]
    method: Mapped[str | None]
    redact: Mapped[bool]
    cycle: Mapped[str | None] = reference("cycles.id", index=True)
    reason: Mapped[str | None]
    asked_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]


class ForgetCertificate(Base):
    """What was forgotten, by whose word, how it was proven and what still holds it. Append-only by trigger.

    Attributes:
        digest: SHA-256 of `document` as canonical JSON.
    """

    __tablename__ = "forget_certificates"
    seq: Mapped[int] = sequence()
    request: Mapped[str] = mapped_column(ForeignKey("forget_requests.id"), unique=True)
    document: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(default=now)
