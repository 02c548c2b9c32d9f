"""Versions: the register of immutable weights, their state and their cards. The files themselves are not touched here.

candidate -> kept       it served, or a person keeps it
candidate | kept -> damaged (hashes differ) -> swept (files removed by retention; the row and card stay)
candidate | kept -> swept
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, literal, or_, select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import deployment, events
from agent.store.errors import Conflict, MoveRefused
from agent.store.tables import Cycle, Plan, Version, VersionState

__all__ = [
    "LEGAL",
    "Held",
    "Version",
    "VersionState",
    "anchor",
    "find",
    "get",
    "held",
    "line",
    "listing",
    "mark",
    "of_cycle",
    "pin",
    "protected",
    "register",
    "save_card",
    "set_anchor",
    "unpin",
]

LEGAL: Final[dict[VersionState, frozenset[VersionState]]] = {
    "candidate": frozenset({"kept", "damaged", "swept"}),
    "kept": frozenset({"damaged", "swept"}),
    "damaged": frozenset({"swept"}),
    "swept": frozenset(),
}


def register(
    tx: Session,
    id: str,
    number: int,
    parent: str | None,
    base: str | None,
    digest: str,
    stage: str | None,
    method: str | None,
    cycle: str | None,
    who: str = "daemon",
    why: str = "its files are complete",
) -> Version:
    """Record a complete version folder, as a candidate. The same again changes nothing.

    Args:
        id: `v<number>`.
        base: full-weight version that an adapter sits on.
        digest: SHA-256 of the folder's manifest.json.

    Raises:
        Conflict: another version has that id.
    """
    row = find(tx, id)
    if row is not None:
        if (row.digest, row.parent, row.base) != (digest, parent, base):
            raise Conflict(f"version {id!r} is {row.digest!r}, not {digest!r}: a version never changes")
        return row
    row = Version(
        id=id,
        number=number,
        parent=parent,
        base=base,
        digest=digest,
        stage=stage,
        method=method,
        cycle=cycle,
        state="candidate",
    )
    tx.add(row)
    tx.flush()
    events.record(tx, "version.registered", id, who, why, parent=parent, base=base, digest=digest, cycle=cycle)
    return row


def get(tx: Session, version_id: str) -> Version:
    """One version.

    Raises:
        NotFound: no such version.
    """
    row = find(tx, version_id)
    if row is None:
        raise NotFound(f"there is no version {version_id!r}; `cld history list` shows those there are")
    return row


def find(tx: Session, version_id: str) -> Version | None:
    """One version, None where none of that id was registered."""
    return tx.get(Version, version_id, populate_existing=True)


class Held(NamedTuple):
    """The part of a version that retention looks at."""

    id: str
    number: int
    state: VersionState


def held(tx: Session) -> list[Held]:
    """Every version without its card and facts, newest first: what is looked at every minute for years."""
    columns = select(Version.id, Version.number, Version.state)
    return [Held(*row) for row in tx.execute(columns.order_by(Version.number.desc()))]


def listing(tx: Session, limit: int = 100_000) -> list[Version]:
    """The newest versions, newest first."""
    return list(tx.scalars(select(Version).order_by(Version.number.desc()).limit(limit)))


def line(tx: Session, version_id: str, until: str | None = None) -> list[Version]:
    """A version and its ancestors, newest first, down to the base model, or to and without `until`; in one query."""
    if version_id == until:
        return []
    steps = (Version.id, Version.parent)
    newest = select(*steps, literal(0).label("age")).where(Version.id == version_id).cte("line", recursive=True)
    older = select(*steps, newest.c.age + 1).join(newest, Version.id == newest.c.parent)
    found = newest.union_all(older if until is None else older.where(Version.id != until))
    rows = select(Version).join(found, found.c.id == Version.id).order_by(found.c.age)
    return list(tx.scalars(rows.execution_options(populate_existing=True)))


def of_cycle(tx: Session, cycle: str) -> list[Version]:
    """The versions that a cycle made, oldest first: one, or of a cycle that replays one for each job so far."""
    return list(tx.scalars(select(Version).where(Version.cycle == cycle).order_by(Version.number)))


def anchor(tx: Session) -> Version:
    """The version that every candidate is also compared with.

    Raises:
        NotFound: none is set yet.
    """
    row = tx.scalar(select(Version).where(Version.anchor.is_(True)).execution_options(populate_existing=True))
    if row is None:
        raise NotFound("no version is the anchor yet; `cld start` imports the base model and makes it one")
    return row


def pin(tx: Session, version_id: str, who: str, why: str) -> Version:
    """Keep a version from retention until unpinned."""
    return _set_pinned(tx, version_id, True, who, why)


def unpin(tx: Session, version_id: str, who: str, why: str) -> Version:
    """Let retention have a version again."""
    return _set_pinned(tx, version_id, False, who, why)


def set_anchor(tx: Session, version_id: str, who: str, why: str) -> Version:
    """Make a version the anchor, instead of the one before.

    Raises:
        MoveRefused: it is damaged or swept.
    """
    row = get(tx, version_id)
    if row.state in ("damaged", "swept"):
        raise MoveRefused(f"version {version_id!r} is {row.state}: an anchor must be measurable")
    if not row.anchor:
        tx.execute(update(Version).where(Version.anchor.is_(True)).values(anchor=None))
        _change(tx, version_id, anchor=True)
        events.record(tx, "version.anchored", version_id, who, why)
    return get(tx, version_id)


def mark(tx: Session, version_id: str, state: VersionState, who: str, why: str) -> Version:
    """Change the state of a version's files. The same again changes nothing.

    Raises:
        MoveRefused: it is protected (for `swept`), it serves (for `damaged`), or the state has no such arrow.
    """
    row = get(tx, version_id)
    if row.state == state:
        return row
    if state not in LEGAL[row.state]:
        after = sorted(LEGAL[row.state])
        raise MoveRefused(f"version {version_id!r} is {row.state} and cannot become {state!r}, only {after!r}")
    if state == "swept" and version_id in protected(tx):
        raise MoveRefused(
            f"version {version_id!r} is current, previous, pinned, the anchor or referenced by one of those: it stays"
        )
    current = deployment.find(tx)
    if state == "damaged" and current is not None and current.version == version_id:
        raise MoveRefused(f"version {version_id!r} serves: `cld rollback` to a whole one first, then mark it damaged")
    _change(tx, version_id, state=state)
    events.record(tx, "version.marked", version_id, who, why, before=row.state, after=state)
    return get(tx, version_id)


def save_card(tx: Session, version_id: str, text: str, facts: Mapping[str, Any], who: str = "daemon") -> Version:
    """Record what people read about a version; the newest text replaces the one before (events keep that it did)."""
    row = get(tx, version_id)
    if (row.card, row.facts) != (text, dict(facts)):
        _change(tx, version_id, card=text, facts=dict(facts))
        events.record(tx, "version.described", version_id, who, "its card was written")
    return get(tx, version_id)


def protected(tx: Session) -> set[str]:
    """Versions whose files must not be deleted.

    Current, previous, pinned, anchor, those of the active cycle, the parents of all these, what the active cycle
    replays from, and of every version that still has files its base (an adapter is nothing without it) and the sketcher
    that it answers with.
    """
    roots = set(tx.scalars(select(Version.id).where(or_(Version.pinned, Version.anchor.is_(True)))))
    current = deployment.find(tx)
    if current is not None:
        roots |= {current.version, current.previous or current.version}
    for row in tx.execute(select(Cycle.parent, Cycle.anchor, Cycle.candidate).where(Cycle.active.is_(True))):
        roots |= {version for version in row if version is not None}
    parents = select(Version.parent).where(Version.id.in_(roots), Version.parent.is_not(None))
    bases = select(Version.base).where(Version.state != "swept", Version.base.is_not(None)).distinct()
    queries = (parents, bases, _sketchers(), _replayed_from())
    return roots | {id for query in queries for id in tx.scalars(query) if id}


def _sketchers() -> Select[tuple[str]]:
    """Versions that plans name as a generator's sketcher (method `cert`), while it has files or is being made."""
    made = select(Version.cycle).where(Version.state != "swept", Version.cycle.is_not(None))
    making = select(Cycle.id).where(Cycle.active.is_(True))
    named = Plan.plan["settings"]["sketcher"].as_string()
    return select(named).where(named.is_not(None), or_(Plan.cycle.in_(made), Plan.cycle.in_(making)))


def _replayed_from() -> Select[tuple[str]]:
    """The version from which the plan of the active cycle replays, if it does."""
    named = Plan.plan["replay_from"].as_string()
    return select(named).join(Cycle, Cycle.id == Plan.cycle).where(Cycle.active.is_(True), named.is_not(None))


def _set_pinned(tx: Session, version_id: str, pinned: bool, who: str, why: str) -> Version:
    if get(tx, version_id).pinned != pinned:
        _change(tx, version_id, pinned=pinned)
        events.record(tx, "version.pinned" if pinned else "version.unpinned", version_id, who, why)
    return get(tx, version_id)


def _change(tx: Session, version_id: str, **values: Any) -> None:
    tx.execute(update(Version).where(Version.id == version_id).values(**values))
