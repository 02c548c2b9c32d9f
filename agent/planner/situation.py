"""Gathers from the store what the planner's rules need to know."""

from __future__ import annotations

from agent import disagreement
from agent.calendar import month_start
from agent.context import Context
from agent.planner.candidates import Outcome, Situation
from agent.planner.costs import counted, estimated_tokens
from agent.planner.plan import Plan
from agent.store import Session, cycles, jobs, plans, pool, verdicts
from agent.store.cycles import Cycle
from learners.parts.memory import ReplayMemory
from monitors.job import DiagnoseResult

__all__ = ["look"]


def look(context: Context, cycle: Cycle, diagnosis: DiagnoseResult) -> Situation:
    """The situation of `cycle`: what it may train on, the parent's memory, the budget, and what past cycles did."""
    training, limits = context.config.training, context.config.limits
    with context.store.read() as tx:
        held_out = frozenset(diagnosis.held_out_records)
        claimed = [row for row in pool.records_of(tx, cycle.id) if row.state == "claimed" and row.id not in held_out]
        records = disagreement.stated(tx, claimed)
        spent_tokens = jobs.spent(tx, month_start()).train_tokens
        outcomes = _outcomes(tx)
    memory = ReplayMemory.read(context.layout.version(cycle.parent or "") / "memory")
    remembered, budget = [item.record for item in memory.items], limits.monthly_train_tokens
    return Situation(
        gaps=diagnosis.gaps,
        records=records,
        tokens=estimated_tokens(records),
        epochs={"cpt": training.cpt.epochs, "cit": training.cit.epochs, "ca": training.ca.epochs},
        replayable=len(remembered),
        tokens_left=None if budget is None else max(0, budget - spent_tokens),
        tolerated_loss=context.config.gate.general_loss,
        outcomes=outcomes,
        named=context.config.planner.methods,
        counted=lambda stage, method: counted(context.config, stage, method, records, remembered),
    )


def _outcomes(tx: Session) -> list[Outcome]:
    """Gain, loss and cost of every judged cycle, from its stored verdict and its training job's answer."""
    outcomes: list[Outcome] = []
    for cycle in cycles.listing(tx, limit=200):
        verdict = verdicts.get(tx, cycle.id)
        if verdict is None or cycle.stage is None or cycle.method is None:
            continue
        before, after = verdict.verdict["target_before"], verdict.verdict["target_after"]
        loss = -(verdict.verdict["gad"] or 0.0)
        if before is not None and after is not None:
            outcome = Outcome(cycle.stage, cycle.method, after - before, max(0.0, loss), _taken(tx, cycle.id))
            outcomes.append(outcome)
    return outcomes


def _taken(tx: Session, cycle: str) -> float | None:
    """Tokens that a cycle's training took for each that its plan estimated; None where either is not known."""
    plan = Plan.model_validate(plans.get(tx, cycle).plan)
    estimated = next((one.estimated_tokens for one in plan.alternatives if one.id == plan.name), 0)
    trained = [job.result or {} for job in jobs.of_cycle(tx, cycle) if job.kind == "train"]
    tokens = sum(int(answer.get("tokens") or 0) for answer in trained)
    return tokens / estimated if estimated and tokens else None
