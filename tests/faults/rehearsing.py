"""Runs the misbehaving worker package `rehearsal` as the daemon runs a real one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.work import workers
from learners.job import JobRequest, Limits

PACKAGE_ROOT = Path(__file__).parent
MIB = 2**20
GENEROUS = Limits(threads=1)


def prepare(folder, spec, limits=GENEROUS, kind="act"):
    """A job folder that is ready for its worker."""
    folder.mkdir(exist_ok=True)
    request = JobRequest(job_id=folder.name, kind=kind, spec=spec, limits=limits)
    (folder / "job.json").write_text(request.model_dump_json())
    return folder


def launch(folder, limits=GENEROUS, **env):
    """Start its worker."""
    return workers.launch(folder, "rehearsal", limits, {"PYTHONPATH": str(PACKAGE_ROOT), **env})


def until(condition, seconds=20.0):
    """Wait for a condition; its last value is returned, true or not."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return value


def settle(folder, identity, limits=None, lease_seconds=20.0, seconds=30.0):
    """Supervise until the attempt is over, as the daemon's loop does; return its state."""

    def over():
        state = workers.inspect(folder, identity, lease_seconds)
        if not isinstance(state, workers.Running):
            return state
        broken = workers.enforce(identity, folder, limits) if limits else None
        return workers.Failed(broken) if broken else None

    return until(over, seconds)


def attempt(folder, limits=GENEROUS, enforced=None, **env):
    """Launch and settle."""
    return settle(folder, launch(folder, limits, **env), enforced)


def works(folder, identity):
    """Wait until the handler has said that it waits."""

    def waiting():
        state = workers.inspect(folder, identity, 20.0)
        return isinstance(state, workers.Running) and state.progress and state.progress.message == "waiting"

    assert until(waiting)


@pytest.fixture
def waiting(tmp_path):
    """A job folder whose worker waits, and the worker; a fixture of every folder whose conftest names it."""
    folder = prepare(tmp_path / "job", {"act": "wait"})
    identity = launch(folder)
    works(folder, identity)
    yield folder, identity
    workers.stop(identity, 0.0)
    workers.inspect(folder, identity, 5.0)


def running(pid):
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def files(folder):
    """Every file below with its bytes, to compare before and after."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
