"""Intakes: the files that were claimed, what was read in them, and what was quarantined (promise P9).

intake:  open -> recorded | failed      read = kept + duplicate + quarantined, in one transaction

What is kept becomes a waiting record of the pool (`agent.store.pool`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Update, delete, func, select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import events
from agent.store.errors import AccountingError
from agent.store.once import chunks, insert_once
from agent.store.tables import Intake, IntakeFileRow, PooledRecord, QuarantineRow, now
from learners.records import Record
from monitors.intake_job import IntakeResult, Quarantined

__all__ = [
    "Accounting",
    "FileStamp",
    "Intake",
    "QuarantineRow",
    "accounting",
    "claim",
    "fail",
    "files_of",
    "get",
    "known_files",
    "open_listing",
    "quarantine_listing",
    "record",
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


def known_files(tx: Session, source: str, paths: Iterable[str]) -> dict[str, FileStamp]:
    """Those of `paths` that were ever claimed for `source`, as last claimed."""
    file, found = IntakeFileRow, dict[str, FileStamp]()
    claimed = select(file.path, file.size_bytes, file.mtime_ns, file.sha256).where(file.source == source)
    for chunk in chunks(paths):
        rows = tx.execute(claimed.where(file.path.in_(chunk)).order_by(file.intake))
        found |= {path: FileStamp(size, mtime_ns, sha256) for path, size, mtime_ns, sha256 in rows}
    return found


def claim(
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


def open_listing(tx: Session) -> list[Intake]:
    """Intakes claimed and neither recorded nor failed, oldest first."""
    return list(tx.scalars(select(Intake).where(Intake.state == "open").order_by(Intake.number)))


def get(tx: Session, intake_number: int) -> Intake:
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


def record(
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
    intake = get(tx, intake_number)
    if intake.state != "open":
        return _accounting_of(intake)
    offered = _insert_records(tx, intake, records)
    refused = _insert_quarantine(tx, intake, quarantined)
    kept = _kept(tx, intake_number)
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


def fail(
    tx: Session, intake_number: int, reason: str, culprits: Collection[str] | None = None, who: str = "daemon"
) -> Accounting:
    """Give up an intake: its culprits are quarantined with `reason`, and read again only once they change.

    Args:
        culprits: paths of the intake; all of them where None. The others come again with a later scan.
    """
    intake = get(tx, intake_number)
    if intake.state != "open":
        return _accounting_of(intake)
    claimed = files_of(tx, intake_number)
    paths = [path for path in claimed if culprits is None or path in culprits]
    _forget(tx, intake_number, set(claimed) - set(paths))
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


def _forget(tx: Session, intake_number: int, paths: Iterable[str]) -> None:
    """Drop files that were not read from the ledger: they vanished or changed, and come again when they settle."""
    for path in paths:
        row = (IntakeFileRow.intake == intake_number) & (IntakeFileRow.path == path)
        tx.execute(delete(IntakeFileRow).where(row))


def _intake_file(intake_number: int, path: str) -> Update:
    return update(IntakeFileRow).where(IntakeFileRow.intake == intake_number, IntakeFileRow.path == path)


def _kept(tx: Session, intake_number: int) -> int:
    """Records of the intake that the pool did not know yet."""
    return tx.scalar(select(func.count()).select_from(PooledRecord).where(PooledRecord.intake == intake_number)) or 0
