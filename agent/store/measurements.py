"""Measurements: one probe's score on one version under one engine setting, kept per item for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from agent.store import events
from agent.store.once import insert_once
from agent.store.tables import Job, MeasurementRow
from monitors.job import Measurement
from monitors.matrix import ItemScore

__all__ = ["MeasurementRow", "SuiteMean", "add_many", "matrix", "of", "of_slice", "scores"]

_FIELDS = tuple(Measurement.model_fields)


@dataclass(frozen=True)
class SuiteMean:
    """Mean score of a version on a suite under an engine setting, over `items` probes."""

    version: str
    suite: str
    suite_digest: str
    role: str
    engine: str
    mean: float
    items: int


def add_many(
    tx: Session, rows: Iterable[Measurement], job_id: str, who: str = "daemon", why: str = "a measuring job finished"
) -> int:
    """Record measurements; one that is there already stays as it was. Returns how many were new."""
    measured = [{**row.model_dump(), "job": job_id} for row in rows]
    kept = partial(_count, tx, {row["version"] for row in measured}, {row["suite_digest"] for row in measured})
    before = kept()
    insert_once(tx, MeasurementRow, measured)
    added = kept() - before
    if added:
        events.record(tx, "measurements.added", job_id, who, why, measurements=added)
    return added


def of(
    tx: Session, version: str, suite_digests: Sequence[str] | None = None, engine: str | None = None
) -> list[Measurement]:
    """Measurements of a version, by suite and probe; of these suites and this engine setting where given."""
    columns = [getattr(MeasurementRow, field) for field in _FIELDS]
    query = select(*columns).where(MeasurementRow.version == version)
    if suite_digests is not None:
        query = query.where(MeasurementRow.suite_digest.in_(suite_digests))
    if engine is not None:
        query = query.where(MeasurementRow.engine == engine)
    rows = tx.execute(query.order_by(MeasurementRow.suite, MeasurementRow.probe)).mappings()
    return [Measurement.model_validate(dict(row)) for row in rows]


def scores(tx: Session, versions: Sequence[str]) -> list[ItemScore]:
    """Every stored score of some versions, in the order of their jobs: what `monitors.matrix` arranges."""
    columns = [getattr(MeasurementRow, field) for field in ItemScore._fields]
    query = select(*columns).outerjoin(Job, Job.id == MeasurementRow.job).where(MeasurementRow.version.in_(versions))
    return [ItemScore(*row) for row in tx.execute(query.order_by(Job.opened_at, MeasurementRow.job))]


def of_slice(tx: Session, name: str) -> frozenset[tuple[str, str]]:
    """(suite, probe) of every item that was measured as part of a slice."""
    query = select(MeasurementRow.suite, MeasurementRow.probe).where(MeasurementRow.slice == name).distinct()
    return frozenset((suite, probe) for suite, probe in tx.execute(query))


def matrix(tx: Session, versions: Sequence[str] | None = None) -> list[SuiteMean]:
    """Mean per version, suite file and engine setting; of these versions where given."""
    keys = [
        MeasurementRow.version,
        MeasurementRow.suite,
        MeasurementRow.suite_digest,
        MeasurementRow.role,
        MeasurementRow.engine,
    ]
    means = select(*keys, func.avg(MeasurementRow.score).label("mean"), func.count().label("items"))
    if versions is not None:
        means = means.where(MeasurementRow.version.in_(versions))
    return [SuiteMean(**row) for row in tx.execute(means.group_by(*keys).order_by(*keys)).mappings()]


def _count(tx: Session, versions: Collection[str], suite_digests: Collection[str]) -> int:
    """Measurements of these versions on these suite files; the whole table is for ever, and too long to count."""
    mine = MeasurementRow.version.in_(versions) & MeasurementRow.suite_digest.in_(suite_digests)
    return tx.scalar(select(func.count()).select_from(MeasurementRow).where(mine)) or 0
