"""watching -> done | rolled_back: the promoted version is measured once more, from where it now lies.

The second look runs in a new process on the published folder, over a part of each suite, under the engine settings of
the first, whatever cld.toml says by then. What it can catch that the first could not: files that changed between the
measurement and the switch, and chance. A second look that cannot be had counts as a bad one: what serves must be what
was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent import measured
from agent.context import DAEMON, Context
from agent.serving_files import parts_of
from agent.steps import looks
from agent.steps.diagnosing import read_measurements
from agent.steps.ending import end
from agent.steps.judging import gate_policy
from agent.store import Session, control, deployment, verdicts, versions
from agent.store.cycles import Cycle
from agent.work.jobs import JobFailed
from monitors.gate import Noise, judge_recheck, noise_of
from monitors.gate.looks import chosen
from monitors.job import MeasureSpec
from monitors.probes.suites import Suite

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Re-check the serving candidate; end the cycle, or roll back once and open the breaker."""
    if not context.config.gate.recheck:
        return _end(context, cycle, "no re-check is configured ([gate] recheck)")
    with context.store.read() as tx:
        serves = deployment.current(tx).version
    if serves != cycle.candidate:
        return _overtaken(context, cycle, f"{serves} was made to serve before the re-check")
    job_id, engine = f"{cycle.id}-watching", looks.first(context, cycle).engine

    def build(_: Path) -> MeasureSpec:
        candidate, suites = cycle.candidate or "", looks.suites(context, cycle)
        return MeasureSpec(
            versions=(measured.reference(context.layout, candidate),),
            suites=tuple(looks.suite_files(context, cycle)),
            engine=engine,
            skip=looks.beyond([candidate], suites, _part(context, cycle, suites)),
            most_per_suite=context.config.gate.recheck_items,
        )

    try:
        answer = context.jobs.ensure(job_id, "monitors", "measure", build, cycle=cycle.id, step="watching")
    except JobFailed as failure:
        return _roll_back(context, cycle, [f"it could not be measured again: {failure}"])
    if answer is None:
        return False
    again = read_measurements(context.layout.job(job_id) / "output" / "measurements.jsonl")
    suites = looks.suites(context, cycle)
    first = measured.stored(context, cycle.candidate or "", suites, engine.digest())
    required = [suite.suite for suite in suites]
    broken = judge_recheck(first, again, gate_policy(context.config), required_suites=required)
    if broken:
        return _roll_back(context, cycle, broken)
    why = f"the re-check of {len(again)} probes agrees with the verdict"
    return _end(context, cycle, why, rechecked=True, noise=noise_of(first, again))


def _part(context: Context, cycle: Cycle, suites: Sequence[Suite]) -> list[tuple[str, str]]:
    """(suite, probe) of a part of what the first look asked, so that all of it was measured before."""
    most = context.config.gate.recheck_items
    asked = {one.suite: len(one.probes) for one in looks.first(context, cycle).suites}
    return [(suite.suite, probe.id) for suite in suites for probe in chosen(suite, min(most, asked[suite.suite]))]


def _record(tx: Session, cycle: Cycle, broken: list[str], noise: Sequence[Noise] = ()) -> None:
    word = {
        "verdict": "reject" if broken else "promote",
        "reasons": broken,
        "noise": [one.model_dump(mode="json") for one in noise],
    }
    verdicts.save(tx, cycle.id, word, who=DAEMON, why="measured again after the switch", phase="watching")


def _end(context: Context, cycle: Cycle, why: str, *, rechecked: bool = False, noise: Sequence[Noise] = ()) -> bool:
    with context.store.write() as tx:
        if rechecked:
            _record(tx, cycle, [], noise)
        end(tx, context.config, cycle, "done", DAEMON, why)
    context.log.info(f"cycle {cycle.id} is done: {why}", action="cycle.done", cycle=cycle.id)
    return True


def _overtaken(context: Context, cycle: Cycle, why: str) -> bool:
    """A person took the candidate back meanwhile: that is its verdict, and there is nothing to move or to pause."""
    context.jobs.abandon(cycle.id, why)
    with context.store.write() as tx:
        end(tx, context.config, cycle, "rolled_back", DAEMON, why)
    context.log.warning(f"cycle {cycle.id}: {why}", action="cycle.overtaken", cycle=cycle.id)
    return True


def _roll_back(context: Context, cycle: Cycle, broken: list[str]) -> bool:
    """Let the parent serve again once its files were read; False while they are."""
    why = "; ".join(broken)
    with context.store.read() as tx:
        parts = parts_of(tx, cycle.parent or "")
    found = context.reader.ask(f"{cycle.id} back", context.layout, parts)
    if found is None:
        return False
    if found.damaged is not None:
        _stranded(context, cycle, found.damaged, f"{why}; {cycle.parent} cannot serve again: {found.damage}")
        return True
    with context.store.write() as tx:
        _record(tx, cycle, broken)
        now = deployment.current(tx)
        deployment.move(tx, cycle.parent or "", now.generation, DAEMON, why, cause="rollback")
        end(tx, context.config, cycle, "rolled_back", DAEMON, why)
        control.pause(tx, f"breaker: the re-check of {cycle.candidate} failed: {why}", who=DAEMON, fix="cld resume")
    context.log.error(f"rolled back to {cycle.parent}: {why}", action="version.rolled_back", cycle=cycle.id)
    return True


def _stranded(context: Context, cycle: Cycle, damaged: str, why: str) -> None:
    """What served before is damaged: the candidate serves on, and a person says which version is to."""
    with context.store.write() as tx:
        versions.mark(tx, damaged, "damaged", DAEMON, why)
        fix = "cld rollback VERSION to one that is whole (cld history list), then cld resume"
        control.pause(tx, f"rollback: the re-check of {cycle.candidate} failed: {why}", who=DAEMON, fix=fix)
    context.log.error(f"cycle {cycle.id}: {why}", action="version.damaged", version=damaged)
