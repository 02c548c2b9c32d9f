"""What all tables share: the base class, the kinds of columns, and the clock for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, ForeignKey, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeDecorator

__all__ = ["Base", "Moment", "identity", "now", "reference", "row_facts", "sequence"]


def now() -> datetime:
    """Wall time in UTC, for people and for calendar questions; order is always by number, never by time."""
    return datetime.now(UTC)


class Moment(TypeDecorator[datetime]):
    """A time-zone aware UTC datetime on every database (SQLite drops the zone; it is put back)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store as UTC; a naive datetime is a mistake and is refused."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(UTC)")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: Moment,
        dict[str, Any]: JSON,
        list[str]: JSON,
        str: Text,
    }


def identity() -> Any:
    """A primary key of at most 64 characters, e.g. `c7`."""
    return mapped_column(String(64), primary_key=True)


def reference(column: str, *, index: bool = False, primary_key: bool = False) -> Any:
    """The id of a row of another table, as `table.column`; nullable by the annotation."""
    return mapped_column(String(64), ForeignKey(column), index=index, primary_key=primary_key)


def sequence() -> Any:
    """A primary key that counts upwards in order of insertion."""
    return mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


def row_facts(row: Base, *leave_out: str) -> dict[str, Any]:
    """The columns of a row by name, but for some: what is told of it as plain JSON values."""
    return {column.key: getattr(row, column.key) for column in row.__table__.columns if column.key not in leave_out}
