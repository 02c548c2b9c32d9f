"""The deployment: which version serves, and the one transaction that changes it (promises P1, P3, P4).

Append-only: a move inserts the next generation. Generations, not version ids, are compared, so a move from a stale
view fails even when the pointer has come back to the same version.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import decisions, events, verdicts
from agent.store.errors import MoveRefused, StaleGeneration
from agent.store.tables import Deployment, Version, now

__all__ = ["Cause", "Deployment", "current", "find", "history", "move"]

Cause = Literal["initial", "promote", "rollback"]


def find(tx: Session) -> Deployment | None:
    """What serves now, None before the first version."""
    return tx.scalar(select(Deployment).order_by(Deployment.generation.desc()).limit(1))


def current(tx: Session) -> Deployment:
    """What serves now.

    Raises:
        NotFound: no version serves yet.
    """
    found = find(tx)
    if found is None:
        raise NotFound("no version serves yet; `cld start` imports the base model")
    return found


def history(tx: Session, limit: int = 100) -> list[Deployment]:
    """The newest moves, newest first."""
    return list(tx.scalars(select(Deployment).order_by(Deployment.generation.desc()).limit(limit)))


def move(tx: Session, to: str, expected_generation: int, who: str, why: str, cause: Cause) -> Deployment:
    """Let version `to` serve, if the deployment still stands at `expected_generation` (0 before the first).

    A version that serves is kept from then on.

    Raises:
        StaleGeneration: somebody moved it meanwhile.
        MoveRefused: `to` is unknown, damaged, swept or serves already; a promotion has neither a promote verdict nor a
            person's approval (promise P3); a rollback leads to a version that never served and is not kept.
    """
    before = find(tx)
    generation = 0 if before is None else before.generation
    if generation != expected_generation:
        raise StaleGeneration(expected_generation, generation)
    version = _require(tx, to, before)
    _CHECKS[cause](tx, version, before)
    row = Deployment(
        generation=generation + 1,
        version=to,
        previous=None if before is None else before.version,
        cause=cause,
        who=who,
        why=why,
        changed_at=now(),
    )
    tx.add(row)
    tx.execute(update(Version).where(Version.id == to).values(state="kept"))
    tx.flush()
    events.record(tx, "deployment.moved", to, who, why, cause=cause, generation=row.generation, previous=row.previous)
    return row


def _require(tx: Session, to: str, before: Deployment | None) -> Version:
    version = tx.get(Version, to, populate_existing=True)
    if version is None:
        raise MoveRefused(f"there is no version {to!r}; `cld history list` shows those there are")
    if version.state in ("damaged", "swept"):
        raise MoveRefused(f"version {to!r} is {version.state}: only a whole version serves")
    if before is not None and before.version == to:
        raise MoveRefused(f"version {to!r} serves already, at generation {before.generation}")
    return version


def _check_initial(_tx: Session, version: Version, before: Deployment | None) -> None:
    if before is not None:
        raise MoveRefused(f"{before.version!r} serves: {version.id!r} cannot be the initial version any more")


def _check_promote(tx: Session, version: Version, _before: Deployment | None) -> None:
    decision, verdict = decisions.latest_of(tx, version.id), verdicts.latest_of(tx, version.id)
    if decision is not None and decision.decision == "approve":
        return
    if decision is not None:
        raise MoveRefused(f"{decision.who} rejected version {version.id!r} ({decision.why!r}); `cld approve` overrules")
    if verdict is None or verdict.outcome != "promote":
        found = "no verdict" if verdict is None else f"the verdict {verdict.outcome!r}"
        raise MoveRefused(
            f"version {version.id!r} has {found} and nobody approved it: a promotion needs a promote verdict or a "
            f"named person's word (`cld approve {version.cycle or version.id}`)"
        )


def _check_rollback(tx: Session, version: Version, _before: Deployment | None) -> None:
    served = select(Deployment.generation).where(Deployment.version == version.id).limit(1)
    if version.state != "kept" and tx.scalar(served) is None:
        raise MoveRefused(
            f"version {version.id!r} never served and is not kept: a rollback leads to one that did "
            "(`cld history list`)"
        )


_CHECKS = {"initial": _check_initial, "promote": _check_promote, "rollback": _check_rollback}
