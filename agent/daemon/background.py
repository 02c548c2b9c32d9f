"""Starts and ends the daemon from outside of it: `cld start` and `cld stop`.

Owns the detaching of the process and the waiting. The daemon itself is `agent.daemon.loop`, and systemd needs none of
this (`cld start --foreground`).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress

from agent.errors import NotStarted
from agent.root.layout import Layout
from agent.root.lock import Holder, daemon_alive
from agent.root.processes import Identity, alive

__all__ = ["start", "stop"]

_POLL_SECONDS = 0.05
_TAIL_CHARACTERS = 2000
_SIGNAL_GAP_SECONDS = 0.5
"""Two signals of one kind that come sooner may arrive as one."""

_REAP_SECONDS = 10.0

_started: list[subprocess.Popen[bytes]] = []
"""Daemons that this process started: they outlive it, and are reaped by it if they end before."""


def start(layout: Layout, flags: Sequence[str] = (), wait_seconds: float = 30.0) -> tuple[Holder, bool]:
    """Start the daemon in the background.

    Args:
        flags: `section.key=value` overrides of the configuration.

    Returns:
        Who runs, and whether it was started by this call.

    Raises:
        NotStarted: the new process ended, or did not serve in time; the message holds the end of its output.
    """
    if (holder := daemon_alive(layout)) is not None:
        return holder, False
    overrides = [word for flag in flags for word in ("--set", flag)]
    command = [sys.executable, "-m", "agent.cli", "--root", str(layout.root), "start", "--foreground", *overrides]
    layout.create()
    address = f"@cld-start-{os.getpid()}-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, layout.console_file.open("wb") as output:
        ready.bind(address.replace("@", "\0"))
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "NOTIFY_SOCKET": address},
        )
        _started.append(process)
        if _says_ready(ready, process, wait_seconds) and (holder := daemon_alive(layout)) is not None:
            return holder, True
    raise NotStarted(_why(layout, process, wait_seconds))


def _says_ready(ready: socket.socket, process: subprocess.Popen[bytes], wait_seconds: float) -> bool:
    """Wait for the daemon's READY=1, as systemd does: its lock alone would not tell that it serves."""
    ready.settimeout(_POLL_SECONDS)
    until = time.monotonic() + wait_seconds
    while time.monotonic() < until and process.poll() is None:
        with suppress(TimeoutError):
            if b"READY=1" in ready.recv(4096).split(b"\n"):
                return True
    return False


def stop(layout: Layout, *, now: bool = False, wait_seconds: float = 60.0) -> Holder | None:
    """Ask the daemon to end and wait for it.

    Args:
        now: send the second signal too, so that workers are ended at once instead of at their next checkpoint.

    Returns:
        Who was ended, None where nobody ran.

    Raises:
        NotStarted: it still runs after `wait_seconds`.
    """
    holder = daemon_alive(layout)
    if holder is None:
        return None
    with suppress(ProcessLookupError):
        os.kill(holder.pid, signal.SIGTERM)
        if now:
            time.sleep(_SIGNAL_GAP_SECONDS)
            os.kill(holder.pid, signal.SIGTERM)
    until = time.monotonic() + wait_seconds
    while alive(Identity(holder.pid, holder.start_time)):
        if time.monotonic() > until:
            raise NotStarted(f"the daemon (pid {holder.pid}) still runs after {wait_seconds:g} s; `cld stop --now`")
        time.sleep(_POLL_SECONDS)
    for process in _started:  # one whose last thread still ends looks ended and cannot be reaped yet
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_REAP_SECONDS if process.pid == holder.pid else 0)
    return holder


def _why(layout: Layout, process: subprocess.Popen[bytes], wait_seconds: float) -> str:
    said = layout.console_file.read_text(encoding="utf-8", errors="replace")[-_TAIL_CHARACTERS:].strip()
    code = process.poll()
    what = f"did not serve within {wait_seconds:g} s" if code is None else f"ended with exit code {code}"
    return f"the daemon {what}; it said: {said or 'nothing'}"
