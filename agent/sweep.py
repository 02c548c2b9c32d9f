"""Probe sweeps: the serving version measured again because an operator or the calendar asked (`probe_run`).

The command's row is the whole state of a sweep: it stays pending while the job `sweep-<row>` is worked on, and is
answered in the transaction that records the measurements. Called by `agent.commands` at every turn of the loop.
"""

from __future__ import annotations

from pathlib import Path

from agent.context import Context
from agent.errors import CldError, error_kind
from agent.jobs import JobFailed
from agent.steps import measured
from agent.steps.diagnosing import read_measurements
from agent.store import commands, control, cycles, deployment, measurements
from agent.store.commands import Command
from monitors.job import MeasureSpec

__all__ = ["advance"]


def advance(context: Context) -> bool:
    """Go on with the oldest sweep that was asked for; True if it was answered.

    A sweep waits while a cycle works or cld is paused: one worker at a time is what the machine was promised.
    """
    with context.store.read() as tx:
        asked = next((row for row in commands.pending(tx) if row.verb == "probe_run"), None)
        if asked is None or cycles.active(tx) is not None or control.paused(tx):
            return False
        serving = deployment.find(tx)
    if serving is None:
        return False
    try:
        return _measure(context, asked, serving.version)
    except JobFailed as failure:
        _refuse(context, asked, serving.version, failure)
        return True


def _measure(context: Context, asked: Command, version: str) -> bool:
    job_id = f"sweep-{asked.id}"

    def build(folder: Path) -> MeasureSpec:
        return MeasureSpec(
            versions=(measured.reference(context.layout, version),),
            suites=tuple(measured.copied(measured.standing_suites(context), folder)),
            engine=measured.engine_settings(context.config),
        )

    if context.jobs.ensure(job_id, "monitors", "measure", build, cycle=None, step="sweep") is None:
        return False
    rows = read_measurements(context.layout.job(job_id) / "output" / "measurements.jsonl")
    with context.store.write() as tx:
        new = measurements.add_many(tx, rows, job_id)
        message = f"{version} was measured on {len(rows)} probes, {new} of them for the first time"
        commands.answer(tx, asked.id, "applied", message, {"target": version, "job": job_id, "probes": len(rows)})
    return True


def _refuse(context: Context, asked: Command, version: str, failure: CldError) -> None:
    with context.store.write() as tx:
        data = {"target": version, "kind": error_kind(failure)}
        commands.answer(tx, asked.id, "refused", str(failure), data)
