"""What `cld status` shows, read in a few milliseconds: who runs, what serves, what is under way, what is held up.

Loading SQLAlchemy and the configuration's models takes longer than a status may, so this module reads the default
database with the standard library's driver, read-only, in one transaction. It is the one place outside `agent.store`
that speaks SQL; its statements are plain enough for every database, and a test holds them against the store's own
functions. Where the quick way is closed (another database, an older schema, a damaged file) the caller goes on with
the store, which names what is wrong.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agent.root.layout import Layout
from agent.root.lock import daemon_alive

if TYPE_CHECKING:
    from agent.store import Store

__all__ = ["glance", "quick_glance"]

Rows = Callable[[str], Sequence[Mapping[str, Any]]]

_DEPLOYMENT = "SELECT version, generation, previous, changed_at FROM deployments ORDER BY generation DESC LIMIT 1"
_CYCLE = (
    "SELECT id, state, trigger, stage, method, candidate, resume_state, reason, started_at FROM cycles WHERE active"
)
_JOBS = "SELECT id, step, attempts FROM jobs WHERE state = 'running' ORDER BY id"
_PAUSES = "SELECT code, reason, who, fix, since FROM pauses WHERE lifted_at IS NULL ORDER BY seq"
_POOL = "SELECT kind, count(*) AS records FROM records WHERE state = 'waiting' GROUP BY kind ORDER BY kind"
_CONTESTED = "SELECT count(*) AS records FROM records WHERE state = 'contested'"
_QUARANTINE = "SELECT count(*) AS items FROM quarantine"
_VERDICTS = "SELECT cycle, phase, version, outcome, verdict, at FROM verdicts ORDER BY seq DESC LIMIT 3"
_COMMANDS = "SELECT count(*) AS pending FROM commands WHERE outcome IS NULL"
_BREAKER = """
SELECT count(*) AS bad FROM cycles WHERE state IN ('failed', 'rejected', 'rolled_back')
AND number > coalesce((SELECT max(number) FROM cycles WHERE state = 'done'), 0)
AND number > coalesce((SELECT max(lifted_after_cycle) FROM pauses WHERE code = 'breaker'), 0)
"""


def quick_glance(layout: Layout) -> dict[str, Any] | None:
    """The status of a data root whose database is the default one; None where the quick way is closed."""
    path = _default_database(layout)
    if path is None:
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            return _collect(layout, lambda sql: [dict(row) for row in connection.execute(sql)])
    except sqlite3.Error:
        return None


def glance(layout: Layout, store: Store) -> dict[str, Any]:
    """The status of a data root, through its store.

    Raises:
        StoreError: the database cannot be read.
    """
    with store.read() as tx:
        connection = tx.connection()
        return _collect(layout, lambda sql: [dict(row) for row in connection.exec_driver_sql(sql).mappings()])


def _default_database(layout: Layout) -> Path | None:
    if any(name.upper() == "CLD_STORE__URL" for name in os.environ):
        return None
    try:
        configured = tomllib.loads(layout.config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return layout.database if layout.database.exists() and not configured.get("store") else None


def _collect(layout: Layout, rows: Rows) -> dict[str, Any]:
    holder = daemon_alive(layout)
    pool = {row["kind"]: row["records"] for row in rows(_POOL)}
    return {
        "daemon": {"up": holder is not None, "pid": holder.pid if holder else None, "since": _since(holder)},
        "paused": [_plain(row) for row in rows(_PAUSES)],
        "version": next((_plain(row) for row in rows(_DEPLOYMENT)), None),
        "cycle": next((_plain(row) for row in rows(_CYCLE)), None),
        "jobs": [{**row, "progress": _progress(layout.job(row["id"]))} for row in rows(_JOBS)],
        "pool": {
            "waiting": sum(pool.values()),
            "kinds": pool,
            "contested": rows(_CONTESTED)[0]["records"],
            "quarantined": rows(_QUARANTINE)[0]["items"],
        },
        "verdicts": [_verdict(row) for row in rows(_VERDICTS)],
        "breaker": {"bad_cycles_in_a_row": rows(_BREAKER)[0]["bad"]},
        "commands": {"pending": rows(_COMMANDS)[0]["pending"]},
    }


def _since(holder: Any) -> str | None:
    return None if holder is None else datetime.fromtimestamp(holder.since, UTC).isoformat(timespec="seconds")


def _verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    verdict = row["verdict"] if isinstance(row["verdict"], Mapping) else json.loads(row["verdict"])
    return {**_plain(row), "verdict": row["outcome"], "reasons": list(verdict.get("reasons", ()))}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its times in ISO 8601, UTC: SQLite's driver returns them as text without a zone."""
    times = ("since", "at", "changed_at", "started_at")
    return {name: _time(value) if name in times else value for name, value in row.items() if name != "outcome"}


def _time(value: str | datetime | None) -> str | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).isoformat(timespec="seconds")


def _progress(job: Path) -> dict[str, Any] | None:
    """The last whole line of a job's progress, or None before the first."""
    try:
        with (job / "progress.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            *_, last, _ = [b"", b"", *file.read().split(b"\n")]
        return json.loads(last) if last else None
    except (OSError, ValueError):
        return None
