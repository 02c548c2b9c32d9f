"""watching -> done | rolled_back: the promoted version is measured once more, from where it now lies.

The second look runs in a new process on the published folder, over a part of each suite. What it can catch that the
first could not: files or settings that changed between the measurement and the switch, and chance. A second look that
cannot be had counts as a bad one: what serves must be what was measured.
"""

from __future__ import annotations

from pathlib import Path

from agent.context import DAEMON, Context
from agent.jobs import JobFailed
from agent.steps import measured
from agent.steps.diagnosing import read_measurements
from agent.steps.ending import end
from agent.steps.judging import gate_policy, judged_files, judged_suites
from agent.store import Session, control, deployment, verdicts
from agent.store.cycles import Cycle
from monitors.gate import judge_recheck
from monitors.job import Measurement, MeasureSpec

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Re-check the serving candidate; end the cycle, or roll back once and open the breaker."""
    if not context.config.gate.recheck:
        return _end(context, cycle, "no re-check is configured ([gate] recheck)")
    with context.store.read() as tx:
        serves = deployment.current(tx).version
    if serves != cycle.candidate:
        return _overtaken(context, cycle, f"{serves} was made to serve before the re-check")
    job_id = f"{cycle.id}-watching"

    def build(_: Path) -> MeasureSpec:
        return MeasureSpec(
            versions=(measured.reference(context.layout, cycle.candidate or ""),),
            suites=tuple(judged_files(context, cycle)),
            engine=measured.engine_settings(context.config),
            most_per_suite=context.config.gate.recheck_items,
        )

    try:
        answer = context.jobs.ensure(job_id, "monitors", "measure", build, cycle=cycle.id, step="watching")
    except JobFailed as failure:
        _roll_back(context, cycle, [f"it could not be measured again: {failure}"])
        return True
    if answer is None:
        return False
    again = read_measurements(context.layout.job(job_id) / "output" / "measurements.jsonl")
    if broken := _broken(context, cycle, again):
        _roll_back(context, cycle, broken)
        return True
    return _end(context, cycle, f"the re-check of {len(again)} probes agrees with the verdict", rechecked=True)


def _broken(context: Context, cycle: Cycle, again: list[Measurement]) -> list[str]:
    suites = judged_suites(context, cycle)
    first = measured.stored(context, cycle.candidate or "", suites)
    required = [suite.suite for suite in suites]
    return judge_recheck(first, again, gate_policy(context.config), required_suites=required)


def _record(tx: Session, cycle: Cycle, broken: list[str]) -> None:
    word = {"verdict": "reject" if broken else "promote", "reasons": broken}
    verdicts.save(tx, cycle.id, word, who=DAEMON, why="measured again after the switch", phase="watching")


def _end(context: Context, cycle: Cycle, why: str, *, rechecked: bool = False) -> bool:
    with context.store.write() as tx:
        if rechecked:
            _record(tx, cycle, [])
        end(tx, context.config, cycle, "done", DAEMON, why)
    context.log.info(f"cycle {cycle.id} is done: {why}", action="cycle.done", cycle=cycle.id)
    return True


def _overtaken(context: Context, cycle: Cycle, why: str) -> bool:
    """A person took the candidate back meanwhile: that is its verdict, and there is nothing to move or to pause."""
    with context.store.write() as tx:
        end(tx, context.config, cycle, "rolled_back", DAEMON, why)
    context.log.warning(f"cycle {cycle.id}: {why}", action="cycle.overtaken", cycle=cycle.id)
    return True


def _roll_back(context: Context, cycle: Cycle, broken: list[str]) -> None:
    why = "; ".join(broken)
    with context.store.write() as tx:
        _record(tx, cycle, broken)
        now = deployment.current(tx)
        deployment.move(tx, cycle.parent or "", now.generation, DAEMON, why, cause="rollback")
        end(tx, context.config, cycle, "rolled_back", DAEMON, why)
        control.pause(tx, f"breaker: the re-check of {cycle.candidate} failed: {why}", who=DAEMON, fix="cld resume")
    context.log.error(f"rolled back to {cycle.parent}: {why}", action="version.rolled_back", cycle=cycle.id)
