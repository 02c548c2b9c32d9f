"""watching -> done | rolled_back: the promoted version is measured once more, from where it now lies.

The second look runs in a new process on the published folder, over a part of each suite. What it can catch that the
first could not: files or settings that changed between the measurement and the switch, and chance.
"""

from __future__ import annotations

from pathlib import Path

from agent.context import DAEMON, Context
from agent.steps import measured
from agent.steps.diagnosing import read_measurements
from agent.steps.ending import end
from agent.steps.judging import gate_policy, judged_suites
from agent.store import control, deployment, verdicts
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
        return _end(context, cycle, f"{serves} was made to serve before the re-check")
    job_id = f"{cycle.id}-watching"

    def build(folder: Path) -> MeasureSpec:
        return MeasureSpec(
            versions=(measured.reference(context.layout, cycle.candidate or ""),),
            suites=tuple(measured.snapshot(context, cycle, folder)),
            engine=measured.engine_settings(context.config),
            most_per_suite=context.config.gate.recheck_items,
        )

    answer = context.jobs.ensure(job_id, "monitors", "measure", build, cycle=cycle.id, step="watching")
    if answer is None:
        return False
    again = read_measurements(context.layout.job(job_id) / "output" / "measurements.jsonl")
    return _conclude(context, cycle, again)


def _conclude(context: Context, cycle: Cycle, again: list[Measurement]) -> bool:
    first = measured.stored(context, cycle.candidate or "", judged_suites(context, cycle))
    broken = judge_recheck(first, again, gate_policy(context.config))
    with context.store.write() as tx:
        word = {"verdict": "reject" if broken else "promote", "reasons": broken}
        verdicts.save(tx, cycle.id, word, who=DAEMON, why="measured again after the switch", phase="watching")
    if not broken:
        return _end(context, cycle, f"the re-check of {len(again)} probes agrees with the verdict")
    _roll_back(context, cycle, "; ".join(broken))
    return True


def _end(context: Context, cycle: Cycle, why: str) -> bool:
    with context.store.write() as tx:
        end(tx, context.config, cycle, "done", DAEMON, why)
    context.log.info(f"cycle {cycle.id} is done: {why}", action="cycle.done", cycle=cycle.id)
    return True


def _roll_back(context: Context, cycle: Cycle, why: str) -> None:
    with context.store.write() as tx:
        now = deployment.current(tx)
        deployment.move(tx, cycle.parent or "", now.generation, DAEMON, why, cause="rollback")
        end(tx, context.config, cycle, "rolled_back", DAEMON, why)
        control.pause(tx, f"breaker: the re-check of {cycle.candidate} failed: {why}", who=DAEMON, fix="cld resume")
    context.log.error(f"rolled back to {cycle.parent}: {why}", action="version.rolled_back", cycle=cycle.id)
