"""What still holds forgotten records, and the command that removes each. Part of every certificate.

Unlearning makes a version that serves without them; it rewrites nothing that was kept for rollback and for the record.
Places below the data root are named relative to it. Reads the store alone, so a place that retention has emptied since
may still be named. Called by `agent.forgetting.closing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from shlex import quote
from typing import Any

from agent.forgetting.lineage import Lineage
from agent.store import Session, forgetting, jobs, pool
from agent.store.columns import now

__all__ = ["remains"]


def remains(
    tx: Session, ids: Iterable[str], found: Lineage, cycle: str | None, *, redacted: bool
) -> list[dict[str, Any]]:
    """What still holds the records, as JSON values: `what`, `where`, and `command` (None where there is none).

    Args:
        found: their lineage, after the new version serves.
        cycle: the cycle that unlearned them.
        redacted: whether their content was taken out of the database.
    """
    rows = pool.get(tx, ids)
    return [
        *_versions(found),
        *_jobs(tx, {*(turn.cycle for turn in found.taught), *(row.cycle for row in rows), cycle}),
        *_files(tx, {row.intake for row in rows}),
        *_database(redacted=redacted),
    ]


def _versions(found: Lineage) -> Iterator[dict[str, Any]]:
    for row in found.holders:
        if row.state == "swept":
            continue
        unpin = f"cld unpin {row.id}; " if row.pinned else ""
        yield {
            "what": f"version {row.id} ({row.state}): its weights and its replay memory",
            "where": f"versions/{row.id}",
            "command": f"{unpin}rm -r versions/{row.id} (then nothing rolls back to it; retention sweeps it later)",
        }


def _jobs(tx: Session, cycles: Iterable[str | None]) -> Iterator[dict[str, Any]]:
    for cycle in sorted(filter(None, cycles)):
        names = [job.id for job in jobs.of_cycle(tx, cycle)]
        if names:
            yield {
                "what": f"what the workers of cycle {cycle} were given",
                "where": " ".join(f"jobs/{name}" for name in names),
                "command": f"rm -r jobs/{cycle}-* (else retention.keep_jobs sweeps them)",
            }


def _files(tx: Session, intakes: set[int]) -> Iterator[dict[str, Any]]:
    for path in forgetting.files_of(tx, intakes):
        yield {"what": "a file that was read, with all it holds", "where": path, "command": f"rm {quote(path)}"}
    for number in sorted(intakes):
        yield {
            "what": "what its reader wrote",
            "where": f"jobs/intake-{number}",
            "command": f"rm -r jobs/intake-{number}",
        }


def _database(*, redacted: bool) -> Iterator[dict[str, Any]]:
    if not redacted:
        yield {
            "what": "the records' content, kept as the history of what was learned",
            "where": "the database",
            "command": "cld forget --record ID... --redact",
        }
    yield {
        "what": "what was made from them: topics of gaps, sentences held out as probes, answers kept with scores",
        "where": "the database",
        "command": None,
    }
    yield {
        "what": f"copies of the database made before {now().isoformat(timespec='seconds')}, and its unused pages",
        "where": "wherever `cld backup` put them",
        "command": "rm each copy; with the daemon down: sqlite3 cld.db VACUUM",
    }
