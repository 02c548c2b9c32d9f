"""Versions, what was measured on them, and which of them serves."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from agent.store.columns import Base, identity, now, reference

__all__ = ["Deployment", "MeasurementRow", "Version", "VersionState"]

VersionState = Literal["candidate", "kept", "damaged", "swept"]


class Version(Base):
    """An immutable, hashed set of weights under `versions/<id>/`.

    Attributes:
        id: `v<number>`; number is the cycle's, 0 for the imported base. A cycle that replays jobs makes a version for
            each and gives them the numbers from its own on; the last one is its candidate.
        parent: what it followed: the version that training started from, of a replay's candidate the one that served.
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
