"""Inserts that happen once: rows already there are left as they are, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from agent.store.tables import Base

__all__ = ["chunks", "insert_once"]

_CHUNK_ROWS = 500
Item = TypeVar("Item")


def chunks(items: Iterable[Item], size: int = _CHUNK_ROWS) -> Iterator[Sequence[Item]]:
    """Split `items` into lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def insert_once(tx: Session, table: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert `rows`; a row whose key (any unique column) exists already is left out."""
    if tx.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert
    statement = insert(table).on_conflict_do_nothing()
    for chunk in chunks(rows):
        tx.execute(statement, [dict(row) for row in chunk])
