"""What a worker does to itself before it works: die with its supervisor, stay small, stay polite, work alone.

Owns the process-wide settings of a worker. Never touches another process. Called by `learners.worker` once, before
anything heavy is imported. The supervisor additionally watches the resident memory of the whole process tree and the
disk (`agent.work.workers.enforce`), which no process can do for its own children.

Memory is limited by RLIMIT_DATA and not RLIMIT_AS: torch and the CUDA driver reserve address space far beyond what
they use, while RLIMIT_DATA counts writable private memory only (on a training run it stays within 2 % of the resident
size), so that an allocation beyond it fails inside Python and can be named. Weight files count from the moment they
are mapped, before they are read.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path

from learners.job import Limits

__all__ = [
    "PARENT_VARIABLE", "Busy", "Orphaned", "alone_in", "apply", "bind_to_parent", "lift_memory_limit", "orphaned",
    "thread_variables",
]  # fmt: skip

PARENT_VARIABLE = "CLD_PARENT_PID"

_PR_SET_PDEATHSIG = 1
_NICENESS = 10
_OOM_SCORE = "500"
_LOCK_WAIT_SECONDS = 10.0
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


class Orphaned(Exception):
    """The supervisor that started this worker is gone."""


class Busy(Exception):
    """Another worker works in the same job folder."""


def bind_to_parent() -> None:
    """Die as soon as the supervisor named by CLD_PARENT_PID does; without that variable, live alone.

    On Linux the kernel sends SIGKILL when the *thread* that forked this process ends, so a daemon launches from a
    thread that lives as long as it does. Elsewhere the heartbeat looks after it (`orphaned`).

    Raises:
        Orphaned: it died before this call.
    """
    if PARENT_VARIABLE not in os.environ:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if orphaned():
        raise Orphaned(f"supervisor {os.environ[PARENT_VARIABLE]!r} ended before its worker began")


def orphaned() -> bool:
    """Whether the supervisor named by CLD_PARENT_PID is no longer the parent of this process."""
    expected = os.environ.get(PARENT_VARIABLE)
    return expected is not None and os.getppid() != int(expected)


@contextlib.contextmanager
def alone_in(folder: Path, wait_seconds: float = _LOCK_WAIT_SECONDS) -> Generator[None]:
    """Hold the job folder's lock, which the kernel frees when this process and its forks are gone.

    Raises:
        Busy: another worker held it for `wait_seconds`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor, folder, wait_seconds)
        yield
    finally:
        os.close(descriptor)


def apply(limits: Limits) -> None:
    """Limit memory and file size, and give way to everything else on the machine."""
    _limit(resource.RLIMIT_DATA, limits.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.disk_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    for variable, value in thread_variables(limits.threads).items():
        os.environ.setdefault(variable, value)
    if PARENT_VARIABLE in os.environ:
        os.nice(_NICENESS)
        _prefer_as_victim()


def thread_variables(threads: int) -> dict[str, str]:
    """Environment that keeps numeric libraries to `threads`; they read it when they are imported."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}


def lift_memory_limit() -> None:
    """Make room for reporting: the failed frames still hold what filled the memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _limit(kind: int, value: int) -> None:
    """Set the soft limit; the hard one stays, so that `lift_memory_limit` can undo it."""
    _, hard = resource.getrlimit(kind)
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (soft, hard))


def _prefer_as_victim() -> None:
    """When the machine runs out of memory, the kernel shall take the worker, not the daemon."""
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text(_OOM_SCORE)


def _lock(descriptor: int, folder: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Busy(f"another worker holds {str(folder)!r}; it ends with its daemon, then try again") from None
            time.sleep(0.05)
        else:
            return
