"""What went wrong with the database, in cld's own words: a driver's error becomes one that says how to mend it.

Owns the reading of SQLite's and PostgreSQL's codes. An error without a name here is no failure of the database but a
fault of cld, and passes unchanged. Called by `agent.store.Store` around every transaction.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from agent.errors import StoreBusy, StoreDamaged, StoreError
from agent.store.errors import StoreFull, StoreUnreachable

__all__ = ["BUSY_TIMEOUT_SECONDS", "damaged", "named"]

BUSY_TIMEOUT_SECONDS: Final = 30
"""How long a transaction waits for its turn."""

_LOST: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM)

# See appendix A of PostgreSQL's manual; a connection that failed or broke has no code at all.
_WAITED: Final = frozenset({"55P03", "40P01", "40001"})
_NO_SPACE: Final = frozenset({"53100"})
_NO_SERVER: Final = frozenset({"57P01", "57P02", "57P03", "53300"})


def named(url: URL, error: DBAPIError) -> StoreError | None:
    """The error to raise instead; None where `error` is no failure of the database."""
    if url.get_backend_name() == "sqlite":
        return _of_sqlite(Path(url.database or ""), error)
    return _of_postgresql(url.render_as_string(), error)


def damaged(path: Path, finding: str) -> StoreDamaged:
    """What to say of a file that is no whole database."""
    return StoreDamaged(
        f"the database {str(path)!r} is damaged ({finding}): stop cld and put the newest backup back with "
        "`cld restore BACKUP`; nothing was changed"
    )


def _of_sqlite(path: Path, error: DBAPIError) -> StoreError | None:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, str(error.orig))
    if code == sqlite3.SQLITE_FULL:
        free = shutil.disk_usage(path.parent).free
        return StoreFull(f"no space for {str(path)!r} ({free} bytes free): free some, then `cld resume`")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(
            f"{str(path)!r} stayed locked for {BUSY_TIMEOUT_SECONDS} s by another process: ask again; `lsof {path}` "
            "names it"
        )
    if code in _LOST:
        return StoreUnreachable(
            f"{str(path)!r} cannot be read or written ({error.orig}): this account needs to write to it and to "
            "its folder, on a disk that is not mounted read-only"
        )
    return None


def _of_postgresql(url: str, error: DBAPIError) -> StoreError | None:
    code: str | None = getattr(error.orig, "sqlstate", None)
    said = next(iter(str(error.orig).strip().splitlines()), "")
    if code in _NO_SPACE:
        return StoreFull(f"no space on the server of {url!r} ({said}): free some there, then `cld resume`")
    if code in _WAITED:
        return StoreBusy(
            f"{url!r} stayed locked by another session ({said}): ask again; pg_stat_activity on the server names it"
        )
    broken = code is None and isinstance(error, (OperationalError, InterfaceError))
    if broken or code in _NO_SERVER or (code or "").startswith("08"):
        return StoreUnreachable(
            f"the server of {url!r} cannot be reached ({said}): see that it runs and that [store] url names it; "
            "a daemon that runs tries again by itself"
        )
    return None
