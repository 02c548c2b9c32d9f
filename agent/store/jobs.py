"""Jobs and their attempts. Work may run more than once; its result is recorded exactly once.

open -> running (an attempt) -> finished
  ^--------- the attempt failed or was stopped
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import events
from agent.store.errors import Conflict, StaleState
from agent.store.once import chunks
from agent.store.tables import Attempt, Command, Cycle, Intake, Job, JobState, now

__all__ = [
    "Attempt",
    "Job",
    "JobState",
    "Spent",
    "attempts_of",
    "disposable",
    "end_attempt",
    "finish",
    "forsaken",
    "get",
    "known",
    "of_cycle",
    "open",
    "results",
    "running",
    "spent",
    "start_attempt",
    "training_spent",
]

Outcome = Literal["failed", "stopped"]


@dataclass(frozen=True)
class Spent:
    """What finished jobs cost; energy is an estimate."""

    energy_kwh: float
    train_tokens: int
    wall_seconds: float


def open(tx: Session, job_id: str, cycle: str | None, step: str, kind: str, package: str, who: str = "daemon") -> Job:
    """The job, made if there is none yet.

    Raises:
        Conflict: a job of that id exists for other work.
    """
    job = tx.get(Job, job_id, populate_existing=True)
    if job is not None:
        if (job.cycle, job.step, job.kind, job.package) != (cycle, step, kind, package):
            raise Conflict(
                f"job {job_id!r} is {job.kind!r} of cycle {job.cycle!r}, not {kind!r} of {cycle!r}: a job id is "
                "given once"
            )
        return job
    job = Job(id=job_id, cycle=cycle, step=step, kind=kind, package=package, state="open")
    tx.add(job)
    tx.flush()
    events.record(tx, "job.opened", job_id, who, f"step {step}", cycle=cycle, kind=kind, package=package)
    return job


def known(tx: Session, job_id: str) -> bool:
    """Whether a job of that id was ever opened."""
    return tx.get(Job, job_id) is not None


def get(tx: Session, job_id: str) -> Job:
    """One job.

    Raises:
        NotFound: no such job.
    """
    job = tx.get(Job, job_id, populate_existing=True)
    if job is None:
        raise NotFound(f"there is no job {job_id!r}; `cld cycle show` lists the jobs of a cycle")
    return job


def start_attempt(tx: Session, job_id: str, pid: int, start_time: float, who: str = "daemon") -> int:
    """Record that process (`pid`, `start_time`) works on the job; return the attempt's number, from 1.

    Raises:
        StaleState: the job is finished, or another attempt runs.
    """
    job = get(tx, job_id)
    if job.state != "open":
        raise StaleState(f"job {job_id!r} is {job.state!r}: an attempt starts only while it is open")
    number = job.attempts + 1
    tx.add(Attempt(job=job_id, number=number, pid=pid, start_time=start_time))
    _change(tx, job_id, state="running", attempts=number, pid=pid, start_time=start_time, not_before=None)
    events.record(tx, "job.started", job_id, who, f"attempt {number}", pid=pid)
    return number


def end_attempt(
    tx: Session,
    job_id: str,
    outcome: Outcome,
    reason: str,
    detail: str = "",
    not_before: float | None = None,
    who: str = "daemon",
) -> Job:
    """Record that the running attempt ended without a result; the job is open again. A second call changes nothing.

    Args:
        outcome: `failed` counts towards the job's attempts, `stopped` does not.
        reason: a `learners.job.FailureReason`.
        not_before: wall time in seconds since the epoch before which no further attempt starts.
    """
    job = get(tx, job_id)
    if job.state != "running":
        return job
    _end(tx, job, outcome, reason, detail)
    failed = job.failed_attempts + (outcome == "failed")
    _change(
        tx,
        job_id,
        state="open",
        pid=None,
        start_time=None,
        failed_attempts=failed,
        not_before=not_before,
        reason=reason,
        detail=detail,
    )
    events.record(tx, "job.ended", job_id, who, f"{outcome}: {reason}", attempt=job.attempts, detail=detail)
    return get(tx, job_id)


def finish(tx: Session, job_id: str, result: Mapping[str, Any], usage: Mapping[str, Any], who: str = "daemon") -> Job:
    """Record the job's answer. A second call changes nothing and returns what was recorded first."""
    job = get(tx, job_id)
    if job.state == "finished":
        return job
    if job.state == "running":
        _end(tx, job, "finished", None, None)
    _change(
        tx,
        job_id,
        state="finished",
        pid=None,
        start_time=None,
        not_before=None,
        result=dict(result),
        usage=dict(usage),
        finished_at=now(),
    )
    events.record(tx, "job.finished", job_id, who, f"attempt {job.attempts} finished")
    return get(tx, job_id)


def disposable(tx: Session, ids: Collection[str], keep: int) -> list[str]:
    """Of the jobs `ids`, those whose folders nothing needs any more.

    Not the `keep` newest, none of an active cycle, none whose intake or sweep is still to be answered.
    """
    needed = [f"intake-{number}" for number in tx.scalars(select(Intake.number).where(Intake.state == "open"))]
    needed += [f"sweep-{number}" for number in tx.scalars(select(Command.id).where(Command.outcome.is_(None)))]
    unasked = Job.cycle.is_not(None) | Job.step.in_(("intake", "sweep"))
    query = (
        select(Job.id)
        .join(Cycle, Cycle.id == Job.cycle, isouter=True)
        .where(Job.id.in_(ids), Job.id.not_in(needed), Job.state != "running", Cycle.active.is_not(True))
        .where((Job.state == "finished") | unasked)
        .order_by(Job.opened_at.desc(), Job.id)
        .offset(keep)
    )
    return list(tx.scalars(query))


def running(tx: Session) -> list[Job]:
    """Jobs with an attempt under way, by the records (its process may be gone)."""
    return list(tx.scalars(select(Job).where(Job.state == "running").order_by(Job.id)))


def forsaken(tx: Session) -> list[Job]:
    """Jobs with an attempt under way, by the records, for a cycle that has ended."""
    ended = select(Cycle.id).where(Cycle.active.is_(None))
    return list(tx.scalars(select(Job).where(Job.state == "running", Job.cycle.in_(ended)).order_by(Job.id)))


def of_cycle(tx: Session, cycle: str) -> list[Job]:
    """Jobs of a cycle, in the order they were opened."""
    return list(tx.scalars(select(Job).where(Job.cycle == cycle).order_by(Job.opened_at, Job.id)))


def results(tx: Session, cycles: Iterable[str], step: str) -> dict[str, dict[str, Any]]:
    """What the finished job of one step answered, for each of some cycles that has one."""
    found: dict[str, dict[str, Any]] = {}
    for chunk in chunks(cycles):
        mine = select(Job.cycle, Job.result).where(Job.cycle.in_(chunk), Job.step == step, Job.state == "finished")
        found |= {str(cycle): result or {} for cycle, result in tx.execute(mine)}
    return found


def attempts_of(tx: Session, job_id: str) -> list[Attempt]:
    """Attempts at a job, first to last."""
    return list(tx.scalars(select(Attempt).where(Attempt.job == job_id).order_by(Attempt.number)))


def spent(tx: Session, since: datetime) -> Spent:
    """What the jobs finished since then cost (promise P11)."""
    return _spent(tx, Job.finished_at >= since)


def training_spent(tx: Session) -> Spent:
    """What all training jobs cost that ever finished."""
    return _spent(tx, Job.kind == "train")


def _spent(tx: Session, which: ColumnElement[bool]) -> Spent:
    """The sums, made by the database: the results of a month's jobs are too much to read every minute."""
    tokens = case((Job.kind == "train", Job.result["tokens"].as_integer()), else_=0)
    sums = select(
        func.sum(Job.usage["energy_kwh"].as_float()), func.sum(tokens), func.sum(Job.usage["wall_seconds"].as_float())
    )
    energy_kwh, train_tokens, wall_seconds = tx.execute(sums.where(Job.state == "finished", which)).one()
    return Spent(energy_kwh or 0.0, int(train_tokens or 0), wall_seconds or 0.0)


def _end(tx: Session, job: Job, outcome: str, reason: str | None, detail: str | None) -> None:
    which = update(Attempt).where(Attempt.job == job.id, Attempt.number == job.attempts)
    tx.execute(which.values(ended_at=now(), outcome=outcome, reason=reason, detail=detail))


def _change(tx: Session, job_id: str, **values: Any) -> None:
    tx.execute(update(Job).where(Job.id == job_id).values(**values))
