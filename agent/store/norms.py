"""The registry of values: which norms hold, from when to when, what took whose place, and who said so.

Owns the rules of a change. A norm is added, revised (a new norm takes the place of one that holds) or retired, each by
a person's name in an append-only log; nothing is ever deleted, so the registry can be read as of any day. Whether a
model follows a norm is measured, never known here. Called by the verbs `norm_*`, by the steps and by
`agent.reads.values`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound, Refused
from agent.store import events
from agent.store.decisions import require_person
from agent.store.errors import Conflict
from agent.store.tables import Norm, NormChange, NormChangeKind, PooledRecord
from learners.nearest import did_you_mean

__all__ = [
    "Draft", "Norm", "NormChange", "NormChangeKind", "add", "awaited", "find", "get", "heirs", "history", "listing",
    "measured_suites", "put_back", "retire", "revise", "standing",
]  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """A norm as a person proposes it; see `Norm`."""

    id: str
    statement: str
    valid_from: datetime
    scope: tuple[str, ...] = ()
    evidence: str = ""
    suite: str | None = None


def find(tx: Session, norm: str) -> Norm | None:
    """A norm as it stands, None where there is none of that name."""
    return tx.get(Norm, norm, populate_existing=True)


def get(tx: Session, norm: str) -> Norm:
    """A norm as it stands.

    Raises:
        NotFound: there is none of that name; the message names the nearest.
    """
    found = find(tx, norm)
    if found is None:
        known = list(tx.scalars(select(Norm.id)))
        hint = did_you_mean(norm, known, "`cld values list` shows those there are" if known else "")
        raise NotFound(f"there is no norm {norm!r}; {hint or '`cld values add` registers the first'}")
    return found


def listing(tx: Session, at: datetime | None = None) -> list[Norm]:
    """Norms in the order in which they came into force: all of them, or those that hold at a moment."""
    rows = tx.scalars(select(Norm).order_by(Norm.valid_from, Norm.id).execution_options(populate_existing=True))
    return [row for row in rows if at is None or row.holds(at)]


def heirs(tx: Session) -> dict[str, Norm]:
    """Norm -> the norm that took its place."""
    return {row.supersedes: row for row in listing(tx) if row.supersedes is not None}


def history(tx: Session, norm: str | None = None) -> list[NormChange]:
    """Changes, oldest first; those that made or closed one norm if it is named."""
    query = select(NormChange).order_by(NormChange.seq)
    if norm is not None:
        query = query.where((NormChange.norm == norm) | (NormChange.old == norm))
    return list(tx.scalars(query))


def standing(tx: Session, at: datetime) -> dict[str, bool]:
    """Suite -> whether its norm is in force at a moment; what norms share is in force with any of them."""
    rows = [(row.suite, row.holds(at)) for row in listing(tx) if row.suite is not None and row.valid_from <= at]
    return {suite: any(holds for name, holds in rows if name == suite) for suite, _ in rows}


def measured_suites(tx: Session, at: datetime) -> list[str]:
    """Suites of norms in force at a moment and of those whose place they took, each once."""
    held = listing(tx, at)
    old = [get(tx, row.supersedes) for row in held if row.supersedes is not None]
    return list(dict.fromkeys(row.suite for row in (*held, *old) if row.suite is not None))


def add(tx: Session, draft: Draft, who: str, why: str) -> Norm:
    """Register a norm; the same again changes nothing.

    Raises:
        Conflict: another norm has its name.
        UnnamedChange: `who` is not a person's name.
    """
    require_person(who, "add a norm")
    found = find(tx, draft.id)
    if found is not None and found.supersedes is None and _same(found, draft):
        return found
    return _insert(tx, draft, None, "add", who, why)


def revise(tx: Session, old: str, draft: Draft, who: str, why: str) -> Norm:
    """Register a norm in the place of one that holds, which ends where the new one begins; the same changes nothing.

    Raises:
        NotFound: there is no norm `old`.
        Refused: `old` was closed before, or begins no earlier than the draft.
        Conflict: another norm has the draft's name.
        UnnamedChange: `who` is not a person's name.
    """
    require_person(who, "revise a norm")
    found, closed = find(tx, draft.id), get(tx, old)
    if found is not None and found.supersedes == old and _same(found, draft):
        return found
    _close(tx, closed, draft.valid_from, "revised")
    return _insert(tx, draft, old, "revise", who, why)


def retire(tx: Session, norm: str, at: datetime, who: str, why: str) -> Norm:
    """End a norm that holds; nothing takes its place.

    Raises:
        NotFound: there is none of that name.
        Refused: it was closed before, or begins no earlier than `at`.
        UnnamedChange: `who` is not a person's name.
    """
    require_person(who, "retire a norm")
    _close(tx, get(tx, norm), at, "retired")
    _commit(tx, NormChange(norm=norm, change="retire", effective=at, who=who, why=why))
    return get(tx, norm)


def awaited(tx: Session) -> dict[str, int]:
    """How many set-aside preferences name each norm that is not registered."""
    named = PooledRecord.content["norm"].as_string()
    rows = tx.scalars(select(named).where(_aside(named.is_not(None))))
    known = set(tx.scalars(select(Norm.id)))
    return {norm: count for norm, count in sorted(Counter(rows).items()) if norm not in known}


def put_back(tx: Session, norm: str, changes: Sequence[NormChangeKind], who: str, why: str) -> int:
    """Return set-aside preferences that make one of `changes` to a norm to the pool; return how many."""
    content = PooledRecord.content
    mine = _aside((content["norm"].as_string() == norm) & content["change"].as_string().in_(changes))
    count = tx.scalar(select(func.count()).select_from(PooledRecord).where(mine)) or 0
    if count:
        change = update(PooledRecord).where(mine).values(state="waiting", cycle=None)
        tx.execute(change.execution_options(synchronize_session="fetch"))
        events.record(tx, "pool.put_back", norm, who, why, records=count)
    return count


def _aside(which: ColumnElement[bool]) -> ColumnElement[bool]:
    return (PooledRecord.state == "set_aside") & (PooledRecord.kind == "preference") & which


def _same(norm: Norm, draft: Draft) -> bool:
    """Whether a draft says what is registered; a date that nobody gave may differ, so it does not count."""
    told = (draft.statement, list(draft.scope), draft.evidence, draft.suite)
    return told == (norm.statement, norm.scope, norm.evidence, norm.suite)


def _insert(tx: Session, draft: Draft, old: str | None, change: NormChangeKind, who: str, why: str) -> Norm:
    if (found := find(tx, draft.id)) is not None:
        raise Conflict(
            f"norm {draft.id!r} is registered already ({found.statement!r}) and is never rewritten: "
            f"`cld values revise {draft.id} NEW STATEMENT` puts another one in its place"
        )
    tx.add(
        Norm(
            id=draft.id,
            statement=draft.statement,
            scope=list(draft.scope),
            valid_from=draft.valid_from,
            supersedes=old,
            evidence=draft.evidence,
            approver=who,
            suite=draft.suite,
        )
    )
    tx.flush()
    _commit(tx, NormChange(norm=draft.id, change=change, old=old, effective=draft.valid_from, who=who, why=why))
    return get(tx, draft.id)


def _close(tx: Session, norm: Norm, at: datetime, how: str) -> None:
    if norm.valid_to is not None:
        heir = heirs(tx).get(norm.id)
        told = f"{heir.id!r} took its place: name that one" if heir else "it was retired: `cld values add` a new one"
        raise Refused(f"norm {norm.id!r} cannot be {how}, it ended on {norm.valid_to.date()}; {told}")
    if at <= norm.valid_from:
        raise Refused(
            f"norm {norm.id!r} holds from {norm.valid_from.isoformat()} and cannot be {how} from {at.isoformat()}: "
            "give a later date"
        )
    change = update(Norm).where(Norm.id == norm.id).values(valid_to=at)
    tx.execute(change.execution_options(synchronize_session="fetch"))


def _commit(tx: Session, change: NormChange) -> None:
    tx.add(change)
    tx.flush()
    told = {"old": change.old, "effective": change.effective.isoformat()}
    events.record(tx, f"norm.{_PAST[change.change]}", change.norm, change.who, change.why, **told)


_PAST: dict[NormChangeKind, str] = {"add": "added", "revise": "revised", "retire": "retired"}
