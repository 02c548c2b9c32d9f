"""The pool: files read, records waiting, claimed and consumed, items quarantined (promise P9).

record:  waiting -> claimed by a cycle -> learned | refused | set_aside     consumed once, for good
            ^---------- released, or its cycle failed for the first time
            ^---------- set aside for want of a norm, which was registered (`norms.put_back`)
            ^---------- contested: groups disagree, until somebody decides (`contested`); or refused then
intake:  open -> recorded | failed      read = kept + duplicate + quarantined, in one transaction
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Update, delete, func, select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import events
from agent.store.errors import AccountingError, StaleState
from agent.store.once import chunks, insert_once
from agent.store.tables import Intake, IntakeFileRow, PooledRecord, QuarantineRow, now
from learners.records import Record
from monitors.job import IntakeResult, Quarantined

__all__ = [
    "Accounting",
    "FileStamp",
    "Intake",
    "PooledRecord",
    "QuarantineRow",
    "accounting",
    "claim",
    "claim_intake",
    "counts",
    "fail_intake",
    "files_of",
    "get",
    "get_intake",
    "known_files",
    "newest_received_at",
    "open_intakes",
    "quarantine_listing",
    "record_intake",
    "records_of",
    "release",
    "set_aside",
    "settle",
    "sources_of_cycles",
    "waiting",
]


@dataclass(frozen=True)
class FileStamp:
    """A file as it was when an intake claimed it; `sha256` is None until that intake is recorded."""

    size: int
    mtime_ns: int
    sha256: str | None


@dataclass(frozen=True)
class Accounting:
    """Items of one or all intakes: read = kept + duplicate + quarantined."""

    read: int
    kept: int
    duplicate: int
    quarantined: int


def known_files(tx: Session, source: str) -> dict[str, FileStamp]:
    """Every file of `source` ever claimed, as last claimed, by path."""
    query = select(IntakeFileRow).where(IntakeFileRow.source == source).order_by(IntakeFileRow.intake)
    return {row.path: FileStamp(row.size_bytes, row.mtime_ns, row.sha256) for row in tx.scalars(query)}


def claim_intake(
    tx: Session,
    source: str,
    files: Iterable[tuple[str, int, int]],
    who: str = "daemon",
    why: str = "settled files were found",
) -> Intake:
    """Open an intake for `files` (path, size in bytes, mtime in ns)."""
    number = (tx.scalar(select(func.max(Intake.number))) or 0) + 1
    intake = Intake(number=number, source=source, state="open")
    rows = [
        IntakeFileRow(intake=number, path=path, source=source, size_bytes=size, mtime_ns=mtime_ns)
        for path, size, mtime_ns in files
    ]
    tx.add(intake)
    tx.flush()
    tx.add_all(rows)
    events.record(tx, "intake.claimed", intake.job_id, who, why, source=source, files=len(rows))
    return intake


def open_intakes(tx: Session) -> list[Intake]:
    """Intakes claimed and neither recorded nor failed, oldest first."""
    return list(tx.scalars(select(Intake).where(Intake.state == "open").order_by(Intake.number)))


def get_intake(tx: Session, intake_number: int) -> Intake:
    """One intake.

    Raises:
        NotFound: no such intake.
    """
    intake = tx.get(Intake, intake_number, populate_existing=True)
    if intake is None:
        raise NotFound(f"there is no intake {intake_number!r}; `cld status` lists the open ones")
    return intake


def files_of(tx: Session, intake_number: int) -> list[str]:
    """Paths that the intake claimed."""
    query = select(IntakeFileRow.path).where(IntakeFileRow.intake == intake_number).order_by(IntakeFileRow.path)
    return list(tx.scalars(query))


def record_intake(
    tx: Session,
    intake_number: int,
    result: IntakeResult,
    records: Iterable[Record],
    quarantined: Iterable[Quarantined],
    who: str = "daemon",
    why: str = "the intake job finished",
) -> Accounting:
    """Take in what an intake job found; a record known already counts as a duplicate. Recording twice changes nothing.

    Raises:
        NotFound: no such intake.
        AccountingError: the job's own numbers do not add up; nothing is kept.
    """
    intake = get_intake(tx, intake_number)
    if intake.state != "open":
        return _accounting_of(intake)
    offered = _insert_records(tx, intake, records)
    refused = _insert_quarantine(tx, intake, quarantined)
    kept = _count(tx, PooledRecord.intake == intake_number)
    read = sum(file.read for file in result.files)
    duplicate = sum(file.duplicate for file in result.files) + offered - kept
    found = Accounting(read, kept, duplicate, refused)
    if read != kept + duplicate + refused:
        raise AccountingError(
            f"intake {intake_number} read {read} items but kept {kept}, found {duplicate} twice and quarantined "
            f"{refused}: they must add up; the records were not taken in"
        )
    for file in result.files:
        read_stamp = {"sha256": file.sha256, "size_bytes": file.size_bytes, "mtime_ns": file.mtime_ns}
        tx.execute(_intake_file(intake_number, file.path).values(**read_stamp))
    _forget(tx, intake_number, result.deferred)
    _close(tx, intake, "recorded", found, None)
    events.record(tx, "intake.recorded", intake.job_id, who, why, source=intake.source, **vars(found))
    return found


def fail_intake(tx: Session, intake_number: int, reason: str, who: str = "daemon") -> Accounting:
    """Give up an intake: each of its files is quarantined with `reason`, and read again only once it changes."""
    intake = get_intake(tx, intake_number)
    if intake.state != "open":
        return _accounting_of(intake)
    paths = files_of(tx, intake_number)
    _insert_quarantine(tx, intake, [Quarantined(origin=path, reason=reason) for path in paths])
    found = Accounting(read=len(paths), kept=0, duplicate=0, quarantined=len(paths))
    _close(tx, intake, "failed", found, reason)
    events.record(tx, "intake.failed", intake.job_id, who, reason, source=intake.source, **vars(found))
    return found


def accounting(tx: Session) -> dict[str, Accounting]:
    """Totals over all closed intakes, by source."""
    sums = [func.sum(column) for column in (Intake.read, Intake.kept, Intake.duplicate, Intake.quarantined)]
    query = select(Intake.source, *sums).where(Intake.state != "open").group_by(Intake.source).order_by(Intake.source)
    return {row[0]: Accounting(*(int(total) for total in row[1:])) for row in tx.execute(query)}


def waiting(tx: Session, limit: int) -> list[PooledRecord]:
    """Records in the pool, oldest first, at most `limit`."""
    query = select(PooledRecord).where(PooledRecord.state == "waiting").order_by(PooledRecord.seq).limit(limit)
    return list(tx.scalars(query))


def counts(tx: Session) -> dict[str, int]:
    """Records waiting in the pool, by kind."""
    query = select(PooledRecord.kind, func.count()).where(PooledRecord.state == "waiting").group_by(PooledRecord.kind)
    return {row[0]: row[1] for row in tx.execute(query)}


def newest_received_at(tx: Session) -> datetime | None:
    """When the newest record arrived, None in an empty store."""
    return tx.scalar(select(PooledRecord.received_at).order_by(PooledRecord.seq.desc()).limit(1))


def claim(tx: Session, cycle: str, ids: Iterable[str], who: str = "daemon", why: str = "selected for the cycle") -> int:
    """Hand waiting records to a cycle; return how many.

    Raises:
        StaleState: one of them is not waiting any more; nothing is claimed.
    """
    wanted, claimed = sorted(set(ids)), 0
    for chunk in chunks(wanted):
        where = PooledRecord.id.in_(chunk) & (PooledRecord.state == "waiting")
        claimed += _count(tx, where)
        tx.execute(_records(where).values(state="claimed", cycle=cycle))
    if claimed != len(wanted):
        raise StaleState(
            f"cycle {cycle!r} wants {len(wanted)} records and only {claimed} of them wait in the pool: a record is "
            "consumed once; look at the pool again"
        )
    if claimed:
        events.record(tx, "pool.claimed", cycle, who, why, records=claimed)
    return claimed


def release(tx: Session, cycle: str, why: str, who: str = "daemon") -> int:
    """Give the records that `cycle` claimed back to the pool; return how many."""
    mine = (PooledRecord.cycle == cycle) & (PooledRecord.state == "claimed")
    count = _count(tx, mine)
    if count:
        tx.execute(_records(mine).values(state="waiting", cycle=None, returns=PooledRecord.returns + 1))
        events.record(tx, "pool.released", cycle, who, why, records=count)
    return count


def settle(
    tx: Session,
    cycle: str,
    outcome: Literal["learned", "refused", "set_aside", "failed"],
    who: str = "daemon",
    why: str = "the cycle ended",
) -> int:
    """Consume the records that `cycle` claimed; return how many. A second call finds none.

    Args:
        outcome: `learned`, `refused` and `set_aside` (nothing to learn from it) are final; `failed` gives each record
            back to the pool the first time and refuses it the second, so that a record that breaks training cannot do
            so for ever.
    """
    mine = (PooledRecord.cycle == cycle) & (PooledRecord.state == "claimed")
    if outcome == "failed":
        returned = PooledRecord.returns > 0
        refused = _settle(tx, mine & returned, "refused", cycle, who, why)
        return refused + release(tx, cycle, why, who)
    return _settle(tx, mine, outcome, cycle, who, why)


def set_aside(tx: Session, cycle: str, ids: Iterable[str], why: str, who: str = "daemon") -> int:
    """Set some of the records that `cycle` claimed aside, while it goes on with the others; return how many."""
    mine = (PooledRecord.cycle == cycle) & (PooledRecord.state == "claimed")
    return sum(_settle(tx, mine & PooledRecord.id.in_(chunk), "set_aside", cycle, who, why) for chunk in chunks(ids))


def records_of(tx: Session, cycle: str) -> list[PooledRecord]:
    """Records that `cycle` claimed or consumed, in order of arrival."""
    return list(tx.scalars(select(PooledRecord).where(PooledRecord.cycle == cycle).order_by(PooledRecord.seq)))


def sources_of_cycles(tx: Session) -> dict[str, set[str]]:
    """Names of the sources whose records each cycle claimed or consumed."""
    found: dict[str, set[str]] = {}
    query = select(PooledRecord.cycle, PooledRecord.source).where(PooledRecord.cycle.is_not(None)).distinct()
    for cycle, source in tx.execute(query):
        found.setdefault(str(cycle), set()).add(source)
    return found


def get(tx: Session, ids: Iterable[str]) -> list[PooledRecord]:
    """Records by id, in order of arrival; unknown ids are left out."""
    found: list[PooledRecord] = []
    for chunk in chunks(ids):
        found += tx.scalars(select(PooledRecord).where(PooledRecord.id.in_(chunk)))
    return sorted(found, key=lambda row: row.seq)


def quarantine_listing(tx: Session, limit: int = 100) -> list[QuarantineRow]:
    """The newest quarantined items, newest first."""
    return list(tx.scalars(select(QuarantineRow).order_by(QuarantineRow.seq.desc()).limit(limit)))


def _insert_records(tx: Session, intake: Intake, records: Iterable[Record]) -> int:
    rows: list[dict[str, Any]] = [
        {
            "id": record.id,
            "source": intake.source,
            "kind": record.kind,
            "content": record.content,
            "origin": record.origin,
            "intake": intake.number,
        }
        for record in records
    ]
    insert_once(tx, PooledRecord, rows)
    return len(rows)


def _insert_quarantine(tx: Session, intake: Intake, quarantined: Iterable[Quarantined]) -> int:
    rows = [
        QuarantineRow(
            intake=intake.number, source=intake.source, origin=item.origin, reason=item.reason, excerpt=item.excerpt
        )
        for item in quarantined
    ]
    tx.add_all(rows)
    return len(rows)


def _close(tx: Session, intake: Intake, state: str, found: Accounting, reason: str | None) -> None:
    values = {"state": state, "reason": reason, "closed_at": now(), **vars(found)}
    tx.execute(update(Intake).where(Intake.number == intake.number).values(**values))


def _accounting_of(intake: Intake) -> Accounting:
    return Accounting(intake.read, intake.kept, intake.duplicate, intake.quarantined)


def _settle(tx: Session, which: ColumnElement[bool], state: str, cycle: str, who: str, why: str) -> int:
    count = _count(tx, which)
    if count:
        tx.execute(_records(which).values(state=state))
        events.record(tx, f"pool.{state}", cycle, who, why, records=count)
    return count


def _count(tx: Session, which: ColumnElement[bool]) -> int:
    return tx.scalar(select(func.count()).select_from(PooledRecord).where(which)) or 0


def _records(which: ColumnElement[bool]) -> Update:
    return update(PooledRecord).where(which).execution_options(synchronize_session="fetch")


def _forget(tx: Session, intake_number: int, paths: Iterable[str]) -> None:
    """Drop files that were not read from the ledger: they vanished or changed, and come again when they settle."""
    for path in paths:
        row = (IntakeFileRow.intake == intake_number) & (IntakeFileRow.path == path)
        tx.execute(delete(IntakeFileRow).where(row))


def _intake_file(intake_number: int, path: str) -> Update:
    return update(IntakeFileRow).where(IntakeFileRow.intake == intake_number, IntakeFileRow.path == path)
