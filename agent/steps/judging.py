"""judging -> promoting | awaiting_approval | rejected: the gate reads the stored measurements, nothing else."""

from __future__ import annotations

from pathlib import Path

from agent.config import Config
from agent.context import DAEMON, Context
from agent.steps import measured
from agent.steps.ending import end
from agent.store import cycles, verdicts
from agent.store.cycles import Cycle
from monitors.gate import GatePolicy, Verdict, judge
from monitors.probes.suites import Suite, load_suite

__all__ = ["advance", "gate_policy", "judged_files", "judged_suites"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Judge the candidate and move on by the verdict; a hold waits for a person."""
    verdict = _judge(context, cycle, judged_suites(context, cycle))
    why = f"{verdict.verdict}: {'; '.join(verdict.reasons)}"
    context.log.info(f"cycle {cycle.id}: {why}", action="cycle.judged", cycle=cycle.id, verdict=verdict.verdict)
    with context.store.write() as tx:
        verdicts.save(tx, cycle.id, verdict.model_dump(mode="json"), who=DAEMON, why=why)
        if verdict.verdict == "reject":
            end(tx, context.config, cycle, "rejected", DAEMON, why)
        elif verdict.verdict == "hold":
            cycles.transition(
                tx, cycle.id, "judging", "awaiting_approval", DAEMON, why, resume_state="promoting", reason=why
            )
        else:
            cycles.transition(tx, cycle.id, "judging", "promoting", DAEMON, why)
    return True


def judged_files(context: Context, cycle: Cycle) -> list[Path]:
    """Files of the suites as they were when the measuring job read them."""
    return sorted((context.layout.job(f"{cycle.id}-measuring") / "suites").iterdir())


def judged_suites(context: Context, cycle: Cycle) -> list[Suite]:
    """The suites that judge a cycle, whatever became of the operator's files since."""
    return [load_suite(path) for path in judged_files(context, cycle)]


def gate_policy(config: Config) -> GatePolicy:
    """The gate's thresholds from [gate]."""
    return GatePolicy.model_validate(config.gate.model_dump(include=set(GatePolicy.model_fields)))


def _judge(context: Context, cycle: Cycle, suites: list[Suite]) -> Verdict:
    candidate, parent, anchor = (
        measured.stored(context, version, suites) if version else []
        for version in (cycle.candidate, cycle.parent, cycle.anchor)
    )
    targets = [suite.suite for suite in suites if suite.role == "target"]
    required = [suite.suite for suite in suites]
    return judge(candidate, parent, anchor, targets, gate_policy(context.config), required_suites=required)
