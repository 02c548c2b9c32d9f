"""The registry of values: norms, and the log of who changed them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agent.store.columns import Base, identity, now, reference, sequence

__all__ = ["Norm", "NormChange", "NormChangeKind"]

NormChangeKind = Literal["add", "revise", "retire"]


class Norm(Base):
    """How the model is to answer somewhere, from one day to another; only `valid_to` is ever written again.

    Attributes:
        id: the word that preferences carry as `norm`.
        statement: the norm in a sentence or two.
        scope: the groups of people or uses that it is for; empty: everybody.
        valid_from, valid_to: it holds from the first moment until before the second; None: it holds on.
        supersedes: the norm whose place it took; unique, so a norm is superseded once.
        evidence: where it comes from: a policy, a ticket, a decision.
        approver: who put it in force.
        suite: name of the suite of its probes, None where it has none.
    """

    __tablename__ = "norms"
    __table_args__ = (UniqueConstraint("supersedes"),)
    id: Mapped[str] = identity()
    statement: Mapped[str]
    scope: Mapped[list[str]]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    supersedes: Mapped[str | None] = reference("norms.id")
    evidence: Mapped[str]
    approver: Mapped[str]
    suite: Mapped[str | None]

    def holds(self, at: datetime) -> bool:
        """Whether it is in force at a moment."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


class NormChange(Base):
    """One change of the registry, signed with a person's name. Append-only by trigger.

    Attributes:
        norm: what was added or retired; the new norm of a revision.
        old: the norm that a revision closed.
        effective: from when the change holds.
    """

    __tablename__ = "norm_changes"
    seq: Mapped[int] = sequence()
    norm: Mapped[str] = reference("norms.id", index=True)
    change: Mapped[NormChangeKind] = mapped_column(String(16))
    old: Mapped[str | None] = reference("norms.id")
    effective: Mapped[datetime]
    who: Mapped[str]
    why: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=now)
