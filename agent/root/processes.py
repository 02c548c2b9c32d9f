"""Processes of this machine, as the daemon needs them: told apart for certain, found with all they started, ended.

Owns the identity of a process (its id and start time: ids are reused) and what belongs to it. Knows nothing of jobs.
Called by `agent.work.workers` and by the daemon's lock.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

__all__ = ["Identity", "alive", "family", "identify", "kill", "memory_bytes"]

_PROC = Path("/proc")
_START_TOLERANCE_SECONDS = 0.005
_POLL_SECONDS = 0.01


class Identity(NamedTuple):
    """One process, never mistaken for a later one with the same id.

    Attributes:
        start_time: seconds from boot on Linux, which no step of the wall clock moves; from the epoch elsewhere.
    """

    pid: int
    start_time: float


def identify(pid: int) -> Identity | None:
    """The identity of a process that exists, be it a zombie; None if there is none."""
    found = _look(pid)
    return None if found is None else found[0]


def alive(identity: Identity) -> bool:
    """Whether exactly this process still runs; a zombie does not."""
    found = _look(identity.pid)
    return found is not None and found[1] and _same_start(found[0], identity)


def family(identity: Identity | None, mark: tuple[str, str] | None) -> list[psutil.Process]:
    """The process, if it runs, and everything that came from it and still runs.

    A relative is in its session or process group, or carries `mark` in its environment, wherever it fled to.

    Args:
        identity: None if only the mark is known.
        mark: an environment variable and its value that only this family was started with; None if unknown.
    """
    members: list[psutil.Process] = []
    for pid in psutil.pids():
        if pid != os.getpid() and _runs(pid) and (_descends(pid, identity) or _carries(pid, mark)):
            with suppress(psutil.NoSuchProcess):
                members.append(psutil.Process(pid))
    return members


def kill(identity: Identity | None, mark: tuple[str, str] | None, wait_seconds: float) -> bool:
    """SIGKILL the whole family until none is left; False if some survived `wait_seconds`."""
    deadline = time.monotonic() + wait_seconds
    while members := family(identity, mark):
        for process in members:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def memory_bytes(identity: Identity, limit_bytes: int) -> int:
    """Memory that the process and its descendants hold.

    Resident sizes count shared pages once for each process; only where their sum is above `limit_bytes` are the
    proportional ones read, which is exact and slower.
    """
    if not alive(identity):
        return 0
    with suppress(psutil.NoSuchProcess):
        leader = psutil.Process(identity.pid)
        members = [leader, *leader.children(recursive=True)]
        resident = sum(_memory(process, exact=False) for process in members)
        return resident if resident <= limit_bytes else sum(_memory(process, exact=True) for process in members)
    return 0


def _look(pid: int) -> tuple[Identity, bool] | None:
    """Identity of a process and whether it runs (a zombie does not)."""
    if not _PROC.is_dir():
        return _look_by_psutil(pid)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command stands in parentheses and may hold anything; the fields after it are plain. See proc(5).
    state, *fields = stat.rpartition(")")[2].split()
    return Identity(pid, int(fields[18]) / os.sysconf("SC_CLK_TCK")), state not in "ZX"


def _look_by_psutil(pid: int) -> tuple[Identity, bool] | None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return Identity(pid, process.create_time()), process.status() != psutil.STATUS_ZOMBIE
    return None


def _runs(pid: int) -> bool:
    found = _look(pid)
    return found is not None and found[1]


def _same_start(one: Identity, other: Identity) -> bool:
    return abs(one.start_time - other.start_time) < _START_TOLERANCE_SECONDS


def _descends(pid: int, ancestor: Identity | None) -> bool:
    """Whether `pid` is the ancestor or sits in the session or group that it leads, or led.

    The kernel keeps a group's number from being reused while the group has members. So unless its leader turns out
    to be another process than `ancestor`, the members are the ancestor's.
    """
    if ancestor is None:
        return False
    leader = identify(ancestor.pid)
    if leader is not None and not _same_start(leader, ancestor):
        return False
    found = identify(pid)
    if found is None or found.start_time < ancestor.start_time - _START_TOLERANCE_SECONDS:
        return False
    try:
        return ancestor.pid in (pid, os.getsid(pid), os.getpgid(pid))
    except ProcessLookupError:
        return False


def _carries(pid: int, mark: tuple[str, str] | None) -> bool:
    if mark is None:
        return False
    try:
        if _PROC.is_dir():
            return "=".join(mark).encode() in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        return psutil.Process(pid).environ().get(mark[0]) == mark[1]
    except (psutil.Error, OSError):
        return False


def _memory(process: psutil.Process, exact: bool) -> int:
    with suppress(psutil.Error):
        if exact:
            full = process.memory_full_info()
            return int(getattr(full, "pss", full.uss))
        return int(process.memory_info().rss)
    return 0
