"""Copies of the database: made while the daemon works, put back while it is down.

Owns the order in which a damaged database is replaced: the copy is checked first, then what was there is moved aside,
never deleted. Versions and jobs are files of their own, immutable and hashed; copy them with any tool.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any, Literal

from agent.config import Config
from agent.errors import NotFound, Refused, StoreDamaged, StoreError
from agent.root.layout import Layout
from agent.root.lock import lock
from agent.root.stores import store_url
from agent.store import Store, deployment, versions

__all__ = ["back_up", "restore"]

Outcome = Literal["applied", "would_apply"]


def back_up(store: Store, file: Path, *, dry_run: bool = False) -> tuple[Outcome, str]:
    """Copy the database to `file`, which must be new.

    Raises:
        StoreError: the file exists, or the database is a server with tools of its own.
    """
    if dry_run:
        return "would_apply", f"the database would be copied to {file}"
    store.backup(file.resolve())
    return "applied", f"the database was copied to {file}; `cld restore {file}` puts it back"


def restore(
    layout: Layout, config: Config, file: Path, *, dry_run: bool = False
) -> tuple[Outcome, str, dict[str, Any]]:
    """Put the copy `file` in the place of the data root's database.

    Raises:
        AlreadyRunning: the daemon holds the data root.
        NotFound, StoreError: the copy is not there, damaged, or of a newer cld.
        Refused: the configured database is a server.
    """
    target = Store(store_url(layout, config)).path
    if target is None:
        raise Refused("[store] url names a server: put its backup back with its own tools (pg_restore)")
    if not file.is_file():
        raise NotFound(f"there is no file {str(file)!r}")
    with lock(layout, "command"):
        copy = target.with_name(f"{target.name}.restoring")
        copy.unlink(missing_ok=True)
        try:
            _copy(file, copy)
            gone = [id for id in _check(copy, file) if not layout.version(id).is_dir()]
            data: dict[str, Any] = {"without_files": gone}
            if dry_run:
                return "would_apply", f"{file} is whole and would replace {target}{_told(gone)}", data
            aside = _move_aside(target)
            copy.rename(target)
        finally:
            copy.unlink(missing_ok=True)
        _sync(target.parent)
    kept = f"; what was there lies in {aside}" if aside else ""
    message = f"{file} is the database now{kept}{_told(gone)}"
    return "applied", message, {"aside": str(aside) if aside else None, **data}


def _copy(file: Path, copy: Path) -> None:
    try:
        shutil.copyfile(file, copy)
    except OSError as error:
        raise StoreError(
            f"{str(file)!r} could not be copied to {str(copy)!r} ({error}): free some space there, then run the same "
            "command again; nothing was changed"
        ) from error


def _check(copy: Path, file: Path) -> list[str]:
    """Refuse a copy that is damaged or too new, in the name of the `file` that it was made from.

    Returns:
        Ids of the versions that serve by it: one, and the base that it sits on.
    """
    store = Store(f"sqlite:///{copy}")
    try:
        store.check_integrity()
        store.check_schema()
        serving = _serving(store)
    except StoreDamaged as damaged:
        raise StoreDamaged(f"{str(file)!r} is no whole copy of a cld database; nothing was changed") from damaged
    finally:
        store.close()
        for suffix in ("-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    _sync(copy)
    return serving


def _serving(store: Store) -> list[str]:
    with store.read() as tx:
        now = deployment.find(tx)
        version = versions.get(tx, now.version) if now else None
    return [id for id in (version.id, version.base) if id] if version else []


def _told(gone: list[str]) -> str:
    """What to do where retention went on after the copy was made."""
    named = " and ".join(gone)
    fix = "`cld rollback VERSION` to one that is there (`cld history list`), or put its folder back"
    return f"; {named} of what serves by it has no files any more: {fix}" if gone else ""


def _move_aside(target: Path) -> Path | None:
    """The database and what belongs to it; a log left without its database would be replayed over the copy."""
    aside = target.with_name(f"{target.name}.replaced-{time.strftime('%Y%m%d-%H%M%S')}")
    moved: list[Path] = []
    for suffix in ("", "-wal", "-shm"):
        part = target.with_name(target.name + suffix)
        if part.exists():
            moved.append(part.rename(aside.with_name(aside.name + suffix)))
    return moved[0] if moved else None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
