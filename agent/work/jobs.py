"""Jobs: the work that steps hand to worker processes, asked for as often as the loop turns, done once.

Owns the attempts of a job: start, adopt, give up. It decides from the job's row and folder alone, so a daemon that
was killed goes on where the last one stood. `agent.work.workers` starts and inspects processes; steps call `ensure`.

    no row -> open -> attempt running -> finished                      (the result is recorded exactly once)
                        |    `-> failed -> back-off -> next attempt    (until limits.attempts, then JobFailed)
                        `-> stopped with the daemon -> next attempt    (not counted)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from agent.config import Config
from agent.errors import CldError
from agent.root.layout import Layout
from agent.store import Session, Store, events, jobs
from agent.work import workers
from learners.durable import write_atomic
from learners.job import Failure, JobRequest, Limits, Progress

__all__ = ["Build", "JobFailed", "JobRunner"]

_FINAL_REASONS = frozenset({"diverged", "invalid_input"})
"""Reasons that the same request would meet again."""

Package = Literal["learners", "monitors"]
Build = Callable[[Path], BaseModel]


class JobFailed(CldError):
    """A job used up its attempts; the step's cycle ends as `failed`.

    Attributes:
        failure: why the last attempt ended.
    """

    def __init__(self, job_id: str, failure: Failure, attempts: int) -> None:
        super().__init__(
            f"job {job_id!r} failed after {attempts} attempt(s): {failure.reason}: {failure.message}; "
            f"`cld logs` and jobs/{job_id}/worker.log tell more"
        )
        self.failure = failure


@dataclass
class JobRunner:
    """Runs jobs in worker processes, one process group each.

    Args:
        environment: variables added to every worker's environment.
    """

    layout: Layout
    config: Config
    store: Store
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    _running: dict[str, workers.Identity] = field(default_factory=dict[str, workers.Identity], init=False)
    _asked: set[str] = field(default_factory=set[str], init=False)

    def ensure(
        self, job_id: str, package: Package, kind: str, build: Build, *, cycle: str | None, step: str
    ) -> dict[str, Any] | None:
        """The job's result; None while it is being worked on (ask again at the next turn of the loop).

        Args:
            build: writes the job's inputs into the folder it is given and returns the spec; called once per job.

        Raises:
            JobFailed: every attempt failed, or failed in a way that the next would too.
        """
        self._asked.add(job_id)
        with self.store.write() as tx:
            row = self.open(tx, job_id, package, kind, cycle=cycle, step=step)
        if row.result is not None:
            return row.result
        if job_id in self._running:
            return self._watch(job_id)
        if (adopted := self._adopt(job_id, row)) is not None:
            return adopted
        self._give_up_or_wait(row)
        if not self._backs_off(row):
            self._launch(job_id, package, kind, build)
        return None

    def open(self, tx: Session, job_id: str, package: Package, kind: str, *, cycle: str | None, step: str) -> jobs.Job:
        """The job's row, made if there is none.

        A folder that was there before its row is of another history: a backup that was put back gives numbers a second
        time. It is set aside, so that what it holds is not taken for this job's result.
        """
        folder = self.layout.job(job_id)
        if not jobs.known(tx, job_id) and folder.exists():
            aside = folder.rename(self.layout.aside(folder))
            why = f"jobs/{job_id} was there before the job, from another history: it lies in jobs/{aside.name} now"
            events.record(tx, "job.folder_set_aside", job_id, "daemon", why)
        return jobs.open(tx, job_id, cycle, step, kind, package)

    @property
    def busy(self) -> bool:
        """Whether any worker is running."""
        return bool(self._running)

    def progress(self) -> dict[str, Progress | None]:
        """Latest progress of each running job."""
        return {
            job_id: state.progress
            for job_id, identity in self._running.items()
            if isinstance(state := self._inspect(job_id, identity), workers.Running)
        }

    def stop_all(self, grace_seconds: float) -> None:
        """Ask every worker to checkpoint and end; kill what is left after `grace_seconds`. Not a failed attempt."""
        for job_id, identity in list(self._running.items()):
            workers.stop(identity, grace_seconds)
            if self._watch(job_id, stopped=True) is None:
                self._running.pop(job_id, None)

    def watch_unasked(self) -> None:
        """Hold to their limits the workers that no step asked for since the last call, e.g. while cld is paused."""
        for job_id in self._running.keys() - self._asked:
            self._watch(job_id)
        self._asked.clear()

    def end_forsaken(self) -> None:
        """End what a daemon that was killed ran for a cycle that has ended since: nobody will ask for it again."""
        with self.store.read() as tx:
            rows = [row for row in jobs.forsaken(tx) if row.id not in self._running]
        for row in rows:
            workers.stop(_identity(row), grace_seconds=0.0)
            self._end_attempt(row.id, "stopped", Failure(reason="killed", message="its daemon and its cycle ended"))

    def abandon(self, cycle: str, reason: str) -> None:
        """Stop the workers of a cycle that a person ended: nobody will ask for what they make."""
        with self.store.read() as tx:
            ids = {row.id for row in jobs.of_cycle(tx, cycle)}
        for job_id in ids & set(self._running):
            workers.stop(self._running.pop(job_id), grace_seconds=0.0)
            self._end_attempt(job_id, "stopped", Failure(reason="killed", message=reason))

    def _limits(self) -> Limits:
        limits = self.config.limits
        return Limits(
            wall_seconds=limits.wall_seconds,
            memory_bytes=limits.memory_bytes,
            disk_bytes=limits.disk_bytes,
            threads=limits.threads,
        )

    def _inspect(self, job_id: str, identity: workers.Identity | None) -> workers.State:
        return workers.inspect(self.layout.job(job_id), identity, self.config.limits.lease_seconds)

    def _launch(self, job_id: str, package: Package, kind: str, build: Build) -> None:
        folder, limits = self.layout.job(job_id), self._limits()
        self._request(folder, job_id, kind, build, limits)
        python = self.config.engine.python if package == "monitors" else None
        identity = workers.launch(folder, package, limits, self.environment, python, self._accelerate_config(kind))
        self._running[job_id] = identity
        with self.store.write() as tx:
            jobs.start_attempt(tx, job_id, identity.pid, identity.start_time)

    def _request(self, folder: Path, job_id: str, kind: str, build: Build, limits: Limits) -> None:
        """Write what the worker is asked, once; the limits are those of now, which may have been raised for it."""
        path = folder / "job.json"
        if path.exists():
            request = JobRequest.model_validate_json(path.read_bytes())
            if request.limits == limits:
                return
            request = request.model_copy(update={"limits": limits})
        else:
            folder.mkdir(parents=True, exist_ok=True)
            spec = build(folder).model_dump(mode="json")
            request = JobRequest(job_id=job_id, kind=kind, spec=spec, limits=limits)
        write_atomic(path, request.model_dump_json(indent=2))

    def _accelerate_config(self, kind: str) -> Path | None:
        """Only training is shared out."""
        path = self.config.workers.accelerate_config
        return self.layout.root / path if path and kind == "train" else None

    def _watch(self, job_id: str, stopped: bool = False) -> dict[str, Any] | None:
        identity = self._running[job_id]
        state = self._inspect(job_id, identity)
        if isinstance(state, workers.Running):
            broken = workers.enforce(identity, self.layout.job(job_id), self._limits())
            if broken is None:
                return None
            workers.stop(identity, grace_seconds=0.0)
            state = workers.Failed(broken)
        self._running.pop(job_id)
        if isinstance(state, workers.Finished):
            return self._finish(job_id, state)
        failure = state.failure if isinstance(state, workers.Failed) else _LOST
        self._end_attempt(job_id, "stopped" if stopped else "failed", failure)
        return None

    def _adopt(self, job_id: str, row: jobs.Job) -> dict[str, Any] | None:
        """Take what an earlier daemon left: a finished folder is the result, a live worker is stopped."""
        identity = None if row.pid is None else _identity(row)
        state = self._inspect(job_id, identity)
        if isinstance(state, workers.Finished):
            return self._finish(job_id, state)
        if identity is not None:
            if workers.alive(identity):
                workers.stop(identity, grace_seconds=0.0)
            self._end_attempt(job_id, "stopped", Failure(reason="killed", message="its daemon ended"))
        return None

    def _finish(self, job_id: str, state: workers.Finished) -> dict[str, Any]:
        with self.store.write() as tx:
            jobs.finish(tx, job_id, state.result, state.usage.model_dump())
        return state.result

    def _end_attempt(self, job_id: str, outcome: Literal["failed", "stopped"], failure: Failure) -> None:
        with self.store.write() as tx:
            failed = jobs.get(tx, job_id).failed_attempts
            delay_seconds = self._backoff_seconds(failed) if outcome == "failed" else 0.0
            jobs.end_attempt(
                tx, job_id, outcome, failure.reason, failure.message, not_before=time.time() + delay_seconds
            )

    def _backoff_seconds(self, failed_before: int) -> float:
        return self.config.limits.backoff_seconds * 2**failed_before

    def _backs_off(self, row: jobs.Job) -> bool:
        """Whether it is too early for the next attempt; a wait longer than any that is set: the clock was set back."""
        left_seconds = 0.0 if row.not_before is None else row.not_before - time.time()
        return 0.0 < left_seconds <= self._backoff_seconds(max(0, row.failed_attempts - 1))

    def _give_up_or_wait(self, row: jobs.Job) -> None:
        if row.reason is None or row.failed_attempts == 0:
            return
        used_up = row.failed_attempts >= self.config.limits.attempts
        if used_up or row.reason in _FINAL_REASONS:
            failure = Failure.model_validate({"reason": row.reason, "message": row.detail or ""})
            raise JobFailed(row.id, failure, row.failed_attempts)


def _identity(row: jobs.Job) -> workers.Identity:
    return workers.Identity(row.pid or 0, row.start_time or 0.0)


_LOST = Failure(reason="killed", message="the worker ended without a result and without a reason")
