"""The one truth of cld: a database that every other module reads and writes through plain functions.

Owns the connection, its transactions, the schema's version and the backup. The topic modules (`events`, `intakes`,
`pool`, `cycles`, `jobs`, `gaps`, `plans`, `verdicts`, `decisions`, `versions`, `measurements`, `deployment`,
`commands`, `control`, `contested`, `lessons`, `norms`, `retirement`, `forgetting`) own the queries: functions whose
first argument is the session of a transaction.

    store = Store("sqlite:////data/cld.db")
    store.migrate()
    with store.write() as tx:
        cycles.transition(tx, "c7", "training", "measuring", "daemon", "the training job finished")
    with store.read() as tx:
        current = deployment.current(tx)

What holds: one writer at a time (SQLite: BEGIN IMMEDIATE; PostgreSQL: an advisory lock); a read sees one moment; a
transaction that ends in an exception leaves no trace; a commit survives power loss (WAL, synchronous=FULL). Rows are
readings (see `tables`). Never talks to workers or files of the data root.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from agent.errors import StoreError
from agent.store import failures, schema
from agent.store.errors import (
    AccountingError,
    ActiveCycleExists,
    Conflict,
    IllegalTransition,
    MoveRefused,
    SchemaTooOld,
    StaleGeneration,
    StaleState,
    StoreFull,
    StoreMissing,
    StoreUnreachable,
    UnnamedChange,
)
from agent.store.failures import BUSY_TIMEOUT_SECONDS

__all__ = [
    "AccountingError",
    "ActiveCycleExists",
    "Conflict",
    "IllegalTransition",
    "MoveRefused",
    "SchemaTooOld",
    "Session",
    "StaleGeneration",
    "StaleState",
    "Store",
    "StoreFull",
    "StoreMissing",
    "StoreUnreachable",
    "UnnamedChange",
]

_CONNECT_SECONDS = 10
_WRITER_LOCK = 0x636C64  # "cld": the advisory lock that makes PostgreSQL writers take turns


class Store:
    """The database at `url`.

    Args:
        url: `sqlite:////absolute/path/cld.db` or `postgresql+psycopg://...`.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self._engine = _engine(url)
        self._reader = self._engine.execution_options(cld_write=False)
        self._writer = self._engine.execution_options(cld_write=True)

    @property
    def path(self) -> Path | None:
        """The database file, None when the database is a server."""
        sqlite = self.url.get_backend_name() == "sqlite"
        return Path(self.url.database) if sqlite and self.url.database else None

    @contextmanager
    def write(self) -> Generator[Session]:
        """A transaction that commits at the end, or leaves no trace if the block raises.

        Raises:
            StoreMissing, StoreDamaged, StoreBusy, StoreFull, StoreUnreachable: the database cannot be used; the
                message says how to mend it.
        """
        self._require_file()
        with _named_failures(self), Session(self._writer, expire_on_commit=False) as session, session.begin():
            event.listen(session, "before_flush", _refuse_assignment)
            yield session

    @contextmanager
    def read(self) -> Generator[Session]:
        """A transaction that sees one moment of the database and cannot change it.

        Raises:
            StoreMissing, StoreDamaged, StoreBusy, StoreUnreachable: the database cannot be used.
        """
        self._require_file()
        with _named_failures(self), Session(self._reader, expire_on_commit=False) as session:
            yield session

    def migrate(self) -> None:
        """Create the database, or bring an older one up to date, in one transaction; interrupted, nothing changed.

        Raises:
            SchemaTooNew: the database is newer than this code.
        """
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with _named_failures(self), self._writer.begin() as connection:
            schema.upgrade(connection)

    def check_schema(self) -> None:
        """Return if the database is the one this code was written for.

        Raises:
            StoreMissing: no database yet.
            SchemaTooOld: `cld start` migrates it.
            SchemaTooNew: install the newer cld.
            StoreDamaged: the file is not a database.
        """
        self._require_file()
        with _named_failures(self), self._reader.begin() as connection:
            schema.check(connection)

    def check_integrity(self) -> None:
        """Let SQLite check every page and every reference; seconds on a large database.

        Raises:
            StoreDamaged: naming the first finding.
        """
        self._require_file()
        if self.path is None:
            return
        with _named_failures(self), self._reader.begin() as connection:
            found = [row[0] for row in connection.exec_driver_sql("PRAGMA quick_check(1)") if row[0] != "ok"]
            dangling = connection.exec_driver_sql("PRAGMA foreign_key_check")
            found += [f"dangling reference in {row[0]}" for row in dangling]
        if found:
            raise failures.damaged(self.path, str(found[0]))

    def backup(self, path: Path) -> None:
        """Write a consistent copy of a SQLite database to `path`, while the daemon may go on working.

        Raises:
            StoreError: `path` exists or cannot be written, or the database is a server with tools of its own (pg_dump).
        """
        if self.path is None:
            raise StoreError(f"{self.url.render_as_string()!r} is a server: back it up with its own tools (pg_dump)")
        if path.exists():
            raise StoreError(f"{str(path)!r} exists and a backup never overwrites: choose another name or move it away")
        self._require_file()
        partial = path.with_name(f"{path.name}.partial")
        partial.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
                connection.execute("VACUUM INTO ?", (str(partial),))
        except sqlite3.Error as error:
            partial.unlink(missing_ok=True)
            raise StoreError(
                f"no copy was made at {str(path)!r} ({error}): name a file in a folder that exists, may be written to "
                "and has room for the database"
            ) from error
        for written in (partial, partial.parent):  # VACUUM INTO does not wait for the disk
            descriptor = os.open(written, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        partial.rename(path)

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    def _require_file(self) -> None:
        if self.path is not None and not self.path.exists():
            raise StoreMissing(f"there is no database at {str(self.path)!r}; `cld init` makes one")


def _engine(url: str) -> Engine:
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend == "postgresql":
        patience = {} if "connect_timeout" in make_url(url).query else {"connect_timeout": _CONNECT_SECONDS}
        engine = create_engine(url, pool_pre_ping=True, connect_args=patience)
        event.listen(engine, "begin", _begin_postgresql)
        return engine
    raise StoreError(f"store url {url!r}: cld keeps its state in sqlite or postgresql; set [store] url")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    write = bool(connection.get_execution_options().get("cld_write"))
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if write else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("cld_write"):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _refuse_assignment(session: Session, _context: object, _instances: object) -> None:
    changed = [row for row in session.dirty if session.is_modified(row)]
    if changed or session.deleted:
        raise StoreError(f"rows are readings: {changed or list(session.deleted)!r} must change through agent.store")


@contextmanager
def _named_failures(store: Store) -> Generator[None]:
    """Turn the database's own failures into ours; anything else passes unchanged."""
    try:
        yield
    except DBAPIError as error:
        failure = failures.named(store.url, error)
        if failure is None:
            raise
        raise failure from error
