"""planning -> curating | awaiting_approval | no_action: choose what to do about the gaps, and write down why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent import measured
from agent.context import DAEMON, Context
from agent.planner.candidates import propose
from agent.planner.choice import Decision, decide, feasible
from agent.planner.plan import Candidate, Plan, PlannedNorm
from agent.planner.prompt import choosing_prompt
from agent.planner.settings import configured_settings
from agent.planner.situation import look
from agent.steps import letting_go, norms
from agent.steps.ending import end
from agent.steps.trust import untrusted_sources
from agent.store import cycles, plans, pool
from agent.store.cycles import Cycle
from agent.work.jobs import JobFailed
from learners.parts.shift import text_bytes, too_little
from learners.records import Record
from learners.versions import parameters, read_version
from monitors.job import ChooseResult, ChooseSpec, DiagnoseResult, EngineSettings, Gap

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """List candidates, let the chooser choose, store the plan, and ask a person where the configuration says so."""
    if norms.set_aside(context, cycle):
        return True
    diagnosis = _diagnosis(context, cycle)
    candidates = propose(look(context, cycle, diagnosis))
    decision = _decide(context, cycle, diagnosis.gaps, candidates)
    if decision is None:
        return False
    plan = _plan(context, cycle, diagnosis, decision, candidates)
    _store(context, cycle, plan)
    context.log.info(
        f"cycle {cycle.id}: plan {decision.candidate.id}, decided by {plan.decided_by}: {plan.reason}",
        action="cycle.planned",
        cycle=cycle.id,
    )
    return True


def _diagnosis(context: Context, cycle: Cycle) -> DiagnoseResult:
    path = context.layout.job(f"{cycle.id}-diagnosing") / "output" / "result.json"
    return DiagnoseResult.model_validate_json(path.read_text(encoding="utf-8"))


def _decide(context: Context, cycle: Cycle, gaps: Sequence[Gap], candidates: Sequence[Candidate]) -> Decision | None:
    """The decision; None while the choosing model is being asked."""
    planner, options = context.config.planner, feasible(candidates)
    if planner.backend == "rules" or len(options) < 2:
        why = "[planner] backend is rules" if planner.backend == "rules" else "there was nothing to choose between"
        return decide(candidates, None, "", why)
    chooser = (planner.model if planner.backend == "openai" else cycle.parent) or ""

    def build(_: Path) -> ChooseSpec:
        return ChooseSpec(
            version=measured.reference(context.layout, cycle.parent or "") if planner.backend == "model" else None,
            engine=_choosing_engine(context),
            prompt=choosing_prompt(gaps, options),
            options=tuple(option.id for option in options),
        )

    try:
        answer = context.jobs.ensure(
            f"{cycle.id}-planning", "monitors", "choose", build, cycle=cycle.id, step="planning"
        )
    except JobFailed as failure:
        return decide(candidates, None, chooser, f"{chooser} could not be asked: {failure.failure.message}")
    return None if answer is None else decide(candidates, ChooseResult.model_validate(answer), chooser)


def _choosing_engine(context: Context) -> EngineSettings:
    planner, engine = context.config.planner, measured.engine_settings(context.config)
    if planner.backend == "model":
        return engine
    return engine.model_copy(
        update={
            "kind": "openai",
            "endpoint": planner.endpoint,
            "model": planner.model,
            "api_key_env": planner.api_key_env,
        }
    )


def _plan(
    context: Context, cycle: Cycle, diagnosis: DiagnoseResult, decision: Decision, candidates: Sequence[Candidate]
) -> Plan:
    chosen = decision.candidate
    held_out = set(diagnosis.held_out_records)
    with context.store.read() as tx:
        rows = [row for row in pool.records_of(tx, cycle.id) if row.state == "claimed" and row.id not in held_out]
        touched = norms.planned(tx, context.layout, (row.record for row in rows)) if chosen.action == "train" else ()
        older = norms.superseded(tx, touched)
    return Plan(
        action=chosen.action,
        stage=chosen.stage,
        method=chosen.method,
        settings=configured_settings(context.config, chosen) | ({"superseded": older} if older else {}),
        records=tuple(row.id for row in rows),
        held_out=diagnosis.held_out,
        held_out_records=diagnosis.held_out_records,
        cost_tokens=chosen.cost_tokens,
        predicted_gain=chosen.predicted_gain,
        predicted_loss=chosen.predicted_loss,
        decided_by=decision.decided_by,
        reason=decision.reason,
        alternatives=tuple(candidates),
        warnings=_warnings(context, cycle, chosen, [row.record for row in rows]),
        norms=touched,
    )


def _warnings(context: Context, cycle: Cycle, chosen: Candidate, records: Sequence[Record]) -> tuple[str, ...]:
    """Of texts: whether there are too few for a model of this size."""
    if chosen.stage != "cpt":
        return ()
    size = parameters(read_version(context.layout.version(cycle.parent or ""), verify=False).weights)
    found = too_little(text_bytes(records), size)
    return (found,) if found else ()


def _store(context: Context, cycle: Cycle, plan: Plan) -> None:
    why = f"{plan.name}, decided by {plan.decided_by}: {plan.reason}"
    approval = _approval_reason(context, cycle, plan)
    with context.store.write() as tx:
        plans.save(tx, cycle.id, plan.model_dump(mode="json"), plan.decided_by, plan.reason)
        if plan.action != "train":
            found = letting_go.told(_diagnosis(context, cycle).followed)
            end(tx, context.config, cycle, "no_action", DAEMON, f"{why}; {found}" if found else why)
            return
        to, resume = ("awaiting_approval", "curating") if approval else ("curating", None)
        cycles.transition(
            tx,
            cycle.id,
            "planning",
            to,
            DAEMON,
            approval or why,
            stage=plan.stage,
            method=plan.method,
            resume_state=resume,
            reason=approval,
        )


def _approval_reason(context: Context, cycle: Cycle, plan: Plan) -> str | None:
    """Why a person must see the plan before it costs anything; None if nobody must.

    A change of a norm is asked first: no configuration lets it pass unseen.
    """
    reasons: list[str] = []
    if plan.norms or plan.method == "value_revision":
        found = letting_go.told(_diagnosis(context, cycle).followed)
        told = "; ".join([*map(_told, plan.norms), *([found] if found else [])])
        told = told or "it revises what is remembered of norms"
        reasons.append(f"a change of a norm always waits for a person: {told}")
    if plan.stage in context.config.approval.stages:
        reasons.append(f"plans of stage {plan.stage} wait for a person ([approval] stages)")
    if untrusted := untrusted_sources(context, cycle):
        reasons.append(f"records come from untrusted source(s) {', '.join(untrusted)}")
    return "; ".join(reasons) or None


def _told(norm: PlannedNorm) -> str:
    """A planned change of a norm in one sentence."""
    place = f" in place of {norm.supersedes!r} ({norm.superseded_statement})" if norm.supersedes else ""
    probes = (
        f"{norm.probes} probes ({norm.suite})" if norm.suite else "no probes, so nobody will see whether it is held"
    )
    return f"{norm.records} preference(s) {norm.change} {norm.norm!r} ({norm.statement}){place}, {probes}"
