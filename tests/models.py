"""Models of the tests: made once per machine and source text, and published as versions."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from learners import durable
from learners.parts.memory import ReplayMemory
from learners.versions import VersionSpec, write_data, write_spec

__all__ = ["made_once", "published"]


def made_once(name: str, source: Path, build: Callable[[Path], None]) -> Path:
    """The folder that `build` fills, made by whichever process comes first; another source text makes another."""
    key = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    shared = Path(tempfile.gettempdir()) / f"cld-{name}-{key}"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            building = shared.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)
            build(building)
            building.rename(shared)
    return shared


def published(versions: Path, version_id: str, weights: Path, memory: ReplayMemory) -> Path:
    """A full-weight version below `versions`."""
    staging, final = versions / f".{version_id}", versions / version_id
    shutil.copytree(weights, staging / "weights")
    memory.write(staging / "memory")
    write_data(staging, ())
    write_spec(staging, VersionSpec(id=version_id, created_by="tests"))
    durable.write_manifest(staging)
    staging.rename(final)
    return final
