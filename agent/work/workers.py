"""Worker processes, seen from the daemon: start one, look at it, hold it to its limits, end it.

Owns the supervising half of the job folder protocol (`learners.job`; the working half is `learners.worker`). Keeps no
truth: who runs what is in the store, what came of it is in the folder. Decides nothing about retries. Called by
`agent.work.jobs` from the daemon's main thread, because a worker dies with the *thread* that started it.

Promises to the caller: `Finished`, `Failed` and `Absent` mean that no process of that attempt is left, and a failure
that was found here is in the folder's `failure.json` before it is returned.

Leases are judged on the monotonic clock, from the moment this process last *saw* the heartbeat change, and one look
adds at most half a lease of silence. So neither a step of the wall clock, nor a sleeping laptop, nor a daemon that was
itself stopped for an hour makes a healthy worker look hung.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

import learners
from agent.root import processes
from agent.root.processes import Identity, alive
from agent.work.job_folder import (
    ATTEMPT_HEADER,
    Absent,
    Failed,
    Finished,
    Running,
    State,
    disk_bytes,
    heartbeat,
    last_progress,
    log_tail,
    outcome,
)
from learners import confinement
from learners.durable import write_atomic
from learners.failures import failure, reason_in_text
from learners.job import Failure, FailureReason, Limits

__all__ = [
    "Absent", "Failed", "Finished", "Identity", "Running", "State", "alive", "ask_to_stop", "enforce", "inspect",
    "launch", "stop",
]  # fmt: skip

_CODE_ROOT = Path(learners.__path__[0]).parent
_MARK = "CLD_JOB_DIR"
_POLL_SECONDS = 0.02
_KILL_WAIT_SECONDS = 5.0


@dataclass
class _Watch:
    """What this daemon saw of one worker; a cache that a restarted daemon begins anew."""

    job_dir: Path | None
    process: subprocess.Popen[bytes] | None = None
    since: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)
    silent_seconds: float = 0.0
    beat: bytes = b""


_watches: dict[Identity, _Watch] = {}


def launch(
    job_dir: Path,
    package: Literal["learners", "monitors"],
    limits: Limits,
    env: Mapping[str, str],
    python: Path | None = None,
    accelerate_config: Path | None = None,
) -> Identity:
    """Start the worker of a prepared job folder in a session and process group of its own.

    Args:
        job_dir: holds `job.json`; the worker's output goes to `worker.log` in it, its current folder is `work`.
        limits: its thread count becomes the worker's environment; the rest the worker reads from `job.json`.
        env: variables added to this process's own.
        python: interpreter of the worker; this process's own where None.
        accelerate_config: start the worker's processes as this file says (`learners.launch`); one where None.

    Raises:
        OSError: the process could not be started.
    """
    job_dir = job_dir.resolve()
    module = [package] if accelerate_config is None else ["learners.launch", str(accelerate_config)]
    with _new_attempt(job_dir) as log:
        process = subprocess.Popen(
            # -P: nothing in the current folder can pose as a module.
            [str(python or sys.executable), "-P", "-u", "-X", "faulthandler", "-m", *module, str(job_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=job_dir / "work",
            env=_environment(job_dir, limits, env),
            start_new_session=True,
        )
    identity = processes.identify(process.pid)
    if identity is None:
        raise ChildProcessError(f"worker {process.pid} of {job_dir.name!r} was taken away: {log_tail(job_dir)!r}")
    _watches[identity] = _Watch(job_dir, process)
    return identity


def _new_attempt(job_dir: Path) -> BinaryIO:
    """Take away how the last attempt ended, and begin this one's part of the log."""
    (job_dir / "work").mkdir(parents=True, exist_ok=True)
    for word in ("failure.json", "stopped"):
        (job_dir / word).unlink(missing_ok=True)
    log = (job_dir / "worker.log").open("ab")
    log.write(f"{ATTEMPT_HEADER}{datetime.now(UTC).isoformat(timespec='seconds')}\n".encode())
    log.flush()
    return log


def inspect(job_dir: Path, identity: Identity | None, lease_seconds: float) -> State:
    """What became of a job: the folder's word first, the process's fate where the folder says nothing.

    Args:
        identity: the process that works on it as far as the store knows; None if none was recorded.
        lease_seconds: a worker whose heartbeat stands still for longer is hung, and is killed here.
    """
    job_dir = job_dir.resolve()
    if identity is None:
        _kill_marked(job_dir)
        return outcome(job_dir) or Absent()
    if _works(identity):
        silent_seconds = _silence(job_dir, identity, lease_seconds)
        if silent_seconds < lease_seconds:
            return Running(last_progress(job_dir))
        what = f"no heartbeat for {silent_seconds:.1f} s, the lease is {lease_seconds:.1f} s"
        return _end(job_dir, identity, failure("hung", what, log_tail(job_dir)))
    return _end(job_dir, identity, _unexplained(job_dir, identity))


def enforce(identity: Identity, job_dir: Path, limits: Limits) -> Failure | None:
    """End a worker that takes more time, memory or disk than it may.

    Wall time runs from `launch`; memory is what the worker and all its descendants hold together; disk is everything
    below the job folder.

    Returns:
        The failure, also written to the folder; None if all is well or the result was complete before the end.
    """
    job_dir = job_dir.resolve()
    broken = _broken_limit(identity, job_dir, limits) if _works(identity) else None
    if broken is None:
        return None
    ended = _end(job_dir, identity, broken)
    return ended.failure if isinstance(ended, Failed) else None


def ask_to_stop(identity: Identity) -> None:
    """Ask a worker to checkpoint and end, and do not wait."""
    if _works(identity):
        with suppress(ProcessLookupError):
            os.kill(identity.pid, signal.SIGTERM)


def stop(identity: Identity, grace_seconds: float) -> None:
    """End a worker and everything it started; afterwards none of them runs.

    The first signal goes to the worker alone: helpers that ended before it would make it fail instead of checkpoint.

    Args:
        grace_seconds: time between SIGTERM and SIGKILL; 0 kills at once.
    """
    watch = _watches.setdefault(identity, _Watch(None))
    ran = _works(identity)
    deadline = time.monotonic() + grace_seconds
    if grace_seconds > 0:
        ask_to_stop(identity)
    while _works(identity) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _kill(identity, watch)
    if ran and watch.job_dir is not None and outcome(watch.job_dir) is None:
        (watch.job_dir / "stopped").touch()


def _environment(job_dir: Path, limits: Limits, env: Mapping[str, str]) -> dict[str, str]:
    merged = {**os.environ, **env}
    paths = [str(_CODE_ROOT), merged.get("PYTHONPATH", "")]
    return {
        **merged,
        **confinement.thread_variables(limits.threads),
        confinement.PARENT_VARIABLE: str(os.getpid()),
        _MARK: str(job_dir),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def _works(identity: Identity) -> bool:
    """Whether it runs; collects the exit status of our own child on the way."""
    watch = _watches.get(identity)
    if watch is not None and watch.process is not None and watch.process.poll() is not None:
        return False
    return alive(identity)


def _silence(job_dir: Path, identity: Identity, lease_seconds: float) -> float:
    """Seconds of standing heartbeat that this process has witnessed."""
    watch = _watches.setdefault(identity, _Watch(job_dir))
    now, beat = time.monotonic(), heartbeat(job_dir)
    witnessed = min(now - watch.looked, lease_seconds / 2)
    watch.silent_seconds = watch.silent_seconds + witnessed if beat == watch.beat else 0.0
    watch.beat, watch.looked = beat, now
    return watch.silent_seconds


def _end(job_dir: Path, identity: Identity, found: Failure) -> State:
    """Kill what is left of the attempt, then say what came of it; `found` counts if the folder knows no better."""
    watch = _watches.pop(identity, _Watch(job_dir))
    _kill(identity, replace(watch, job_dir=job_dir))
    state = outcome(job_dir)
    if state is None:
        write_atomic(job_dir / "failure.json", found.model_dump_json(indent=2))
        state = Failed(found)
    return state


def _unexplained(job_dir: Path, identity: Identity) -> Failure:
    """Name the end of a worker that may have left no word."""
    watch = _watches.get(identity)
    tail = log_tail(job_dir)
    if watch is None or watch.process is None:
        return failure("killed", "the worker ended without a word while no daemon watched", tail)
    code = watch.process.wait(_KILL_WAIT_SECONDS)
    said = reason_in_text(tail)
    if said is not None:
        return failure(said, f"the worker ended with {_exit_name(code)} after saying so in its log", tail)
    if code == -signal.SIGKILL:
        return failure("killed", "something outside cld, e.g. the kernel short of memory, killed the worker", tail)
    return failure("crashed", f"the worker ended with {_exit_name(code)}", tail)


def _exit_name(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _broken_limit(identity: Identity, job_dir: Path, limits: Limits) -> Failure | None:
    watch = _watches.setdefault(identity, _Watch(job_dir))
    memory_bytes = processes.memory_bytes(identity, limits.memory_bytes)
    found: list[tuple[FailureReason, str, float, float]] = [
        ("timed_out", "seconds of wall time", time.monotonic() - watch.since, limits.wall_seconds),
        ("out_of_memory", "bytes of memory", memory_bytes, limits.memory_bytes),
        ("disk_full", "bytes of disk", disk_bytes(job_dir), limits.disk_bytes),
    ]
    for reason, unit, used, limit in found:
        if used > limit:
            return failure(reason, f"the worker took {used:.0f} {unit}, its limit is {limit:.0f}", log_tail(job_dir))
    return None


def _kill(identity: Identity, watch: _Watch) -> None:
    mark = None if watch.job_dir is None else (_MARK, str(watch.job_dir))
    if not processes.kill(identity, mark, _KILL_WAIT_SECONDS):
        raise TimeoutError(f"worker {identity.pid} does not die; it may wait for a disk or a device: see `dmesg`")
    if watch.process is not None:
        watch.process.wait(_KILL_WAIT_SECONDS)


def _kill_marked(job_dir: Path) -> None:
    """End what a daemon started and could not record before it was killed itself."""
    if not processes.kill(None, (_MARK, str(job_dir)), _KILL_WAIT_SECONDS):
        raise TimeoutError(f"a worker of {job_dir.name!r} does not die; it may wait for a disk or a device: `dmesg`")
