"""One daemon per data root (promise P5): the lock on run/daemon.lock and who holds it.

The lock is the kernel's (flock), so it ends with its holder, however that died; the file's text only says who the
holder is: {"pid", "start_time", "since", "role"}. A pid alone names nobody for long, so it stands with the moment its
process started (`agent.root.processes.Identity`). The text that a dead holder left is overwritten by the next one.

Not covered: file systems without flock (some network mounts), and daemons in two containers with separate kernels.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from agent.errors import AlreadyRunning
from agent.root.layout import Layout
from agent.root.processes import Identity, alive, identify

__all__ = ["Holder", "Role", "daemon_alive", "lock"]

Role = Literal["daemon", "command"]


class Holder(NamedTuple):
    """A process that holds, or held, a data root.

    Attributes:
        start_time: when the process started, as `agent.root.processes.Identity` counts it.
        since: when it took the lock, seconds since the epoch, for people.
        role: the daemon, or a command that changes something while no daemon runs.
    """

    pid: int
    start_time: float
    since: float
    role: Role


@contextmanager
def lock(layout: Layout, role: Role = "daemon") -> Generator[Holder]:
    """Hold the data root for the length of a `with` block.

    Raises:
        AlreadyRunning: another process holds it; the error carries its pid and start time.
    """
    layout.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _already_running(layout) from None
        holder = _this_process(role)
        _write(descriptor, json.dumps(holder._asdict()))
        try:
            yield holder
        finally:
            _write(descriptor, "")
    finally:
        os.close(descriptor)


def daemon_alive(layout: Layout) -> Holder | None:
    """The running daemon of a data root, or None; takes no lock, so it disturbs nobody."""
    holder = _read(layout)
    if holder is None or holder.role != "daemon" or not alive(Identity(holder.pid, holder.start_time)):
        return None
    return holder


def _this_process(role: Role) -> Holder:
    identity = identify(os.getpid())
    if identity is None:
        raise ProcessLookupError(f"process {os.getpid()} cannot see itself: is /proc mounted?")
    return Holder(identity.pid, identity.start_time, time.time(), role)


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _read(layout: Layout) -> Holder | None:
    try:
        return Holder(**json.loads(layout.lock_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _already_running(layout: Layout) -> AlreadyRunning:
    holder = _read(layout)
    if holder is None:
        return AlreadyRunning(f"another process holds {str(layout.root)!r}; try again in a moment")
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.since))
    what = "the daemon" if holder.role == "daemon" else "a command"
    return AlreadyRunning(
        f"{what} with pid {holder.pid}, started {since}, holds {str(layout.root)!r}; "
        + ("end it with `cld stop`" if holder.role == "daemon" else "try again in a moment"),
        holder.pid,
        holder.since,
    )
