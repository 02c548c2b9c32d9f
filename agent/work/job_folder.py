"""A job folder as the daemon reads it: what came of the job, how far it is, what it said, how big it is.

Owns the states that a job can be seen in. Reads only, and knows nothing of processes. Called by `agent.work.workers`,
which puts a process's fate beside the folder's word.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from learners.durable import MANIFEST, DamagedFolder, IncompleteFolder, verify
from learners.failures import failure
from learners.job import Failure, Progress, Usage

__all__ = [
    "ATTEMPT_HEADER", "Absent", "Failed", "Finished", "Running", "State", "disk_bytes", "heartbeat", "last_progress",
    "log_tail", "outcome",
]  # fmt: skip

ATTEMPT_HEADER = "=== attempt at "
"""Begins the part of `worker.log` that each attempt appends."""

_TAIL_BYTES = 8192


@dataclass(frozen=True)
class Running:
    """The worker works; `progress` is its last line, None before the first."""

    progress: Progress | None


@dataclass(frozen=True)
class Finished:
    """The folder is complete and every byte was verified; `result` is the handler's answer."""

    result: dict[str, Any]
    usage: Usage


@dataclass(frozen=True)
class Failed:
    """The attempt ended without a result."""

    failure: Failure


@dataclass(frozen=True)
class Absent:
    """Nothing runs and nothing is known to have failed: never started, or stopped as asked."""


State = Running | Finished | Failed | Absent


def outcome(job_dir: Path) -> Finished | Failed | Absent | None:
    """What the folder itself says; None if nothing."""
    try:
        verify(job_dir / "output", at=job_dir / MANIFEST)
        result = json.loads((job_dir / "output" / "result.json").read_bytes())
        return Finished(result, Usage.model_validate_json((job_dir / "output" / "usage.json").read_bytes()))
    except IncompleteFolder:
        pass
    except (DamagedFolder, OSError, ValidationError) as error:
        return Failed(failure("crashed", f"the result is damaged: {error}"))
    if (job_dir / "stopped").exists():
        return Absent()
    written = _read(job_dir / "failure.json")
    return Failed(Failure.model_validate_json(written)) if written else None


def disk_bytes(folder: Path) -> int:
    """Blocks in use below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(parent) / name).lstat().st_blocks * 512
    return total


def last_progress(job_dir: Path) -> Progress | None:
    """The last whole line that was written."""
    for line in reversed(_tail(job_dir / "progress.jsonl").split("\n")[:-1]):
        with suppress(ValidationError):
            return Progress.model_validate_json(line)
    return None


def log_tail(job_dir: Path) -> str:
    """What the last attempt printed, at most its last 8 KiB."""
    return _tail(job_dir / "worker.log").rpartition(ATTEMPT_HEADER)[2]


def heartbeat(job_dir: Path) -> bytes:
    """The number of the last beat, empty before the first; only whether it changes means anything."""
    return _read(job_dir / "heartbeat")


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
