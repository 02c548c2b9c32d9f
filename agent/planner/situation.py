"""Gathers from the store what the planner's rules need to know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent import disagreement
from agent.calendar import month_start
from agent.context import Context
from agent.planner.candidates import Outcome, Situation
from agent.store import Session, cycles, jobs, pool, verdicts
from agent.store.cycles import Cycle
from learners.records import Record
from monitors.job import DiagnoseResult

__all__ = ["estimated_tokens", "look"]

_CHARACTERS_PER_TOKEN = 4.0


def look(context: Context, cycle: Cycle, diagnosis: DiagnoseResult) -> Situation:
    """The situation of `cycle`: what it may train on, the parent's memory, the budget, and what past cycles did."""
    training, limits = context.config.training, context.config.limits
    with context.store.read() as tx:
        held_out = frozenset(diagnosis.held_out_records)
        claimed = [row for row in pool.records_of(tx, cycle.id) if row.state == "claimed" and row.id not in held_out]
        records = disagreement.stated(tx, claimed)
        spent_tokens = jobs.spent(tx, month_start()).train_tokens
        outcomes = _outcomes(tx)
    budget = limits.monthly_train_tokens
    return Situation(
        gaps=diagnosis.gaps,
        records=records,
        tokens=estimated_tokens(records),
        epochs={"cpt": training.cpt.epochs, "cit": training.cit.epochs, "ca": training.ca.epochs},
        replayable=_lines(context.layout.version(cycle.parent or "") / "memory" / "replay.jsonl"),
        tokens_left=None if budget is None else max(0, budget - spent_tokens),
        tolerated_loss=context.config.gate.general_loss,
        outcomes=outcomes,
        named=context.config.planner.methods,
    )


def _outcomes(tx: Session) -> list[Outcome]:
    """Gain and loss of every judged cycle, from its stored verdict."""
    outcomes: list[Outcome] = []
    for cycle in cycles.listing(tx, limit=200):
        verdict = verdicts.get(tx, cycle.id)
        if verdict is None or cycle.stage is None or cycle.method is None:
            continue
        before, after = verdict.verdict["target_before"], verdict.verdict["target_after"]
        loss = -(verdict.verdict["gad"] or 0.0)
        if before is not None and after is not None:
            outcomes.append(Outcome(cycle.stage, cycle.method, after - before, max(0.0, loss)))
    return outcomes


def estimated_tokens(records: Sequence[Record]) -> int:
    """About how many tokens one pass over the records is."""
    characters = sum(len(record.model_dump_json(include={"content"})) for record in records)
    return round(characters / _CHARACTERS_PER_TOKEN)


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)
