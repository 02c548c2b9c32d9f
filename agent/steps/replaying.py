"""training -> measuring, of cycles that forget exactly: the jobs of the plan are trained again, one after another.

Each job starts from the version that the one before made, the first from the version that the plan names. What each
makes is published and registered before the next begins, so a daemon that was killed goes on with the first job that
has no version yet. The last version is the candidate: it follows the serving one in the history, although its weights
do not come from it. Every other cycle is trained by `agent.steps.training`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent import disagreement
from agent.context import DAEMON, Context
from agent.planner.plan import Plan, ReplayedJob
from agent.steps import training
from agent.store import cycles, forgetting, plans, pool, versions
from agent.store.cycles import Cycle
from learners.job import TrainResult, TrainSpec
from learners.records import write_records

__all__ = ["advance"]


@dataclass(frozen=True)
class _Turn:
    """One job of a replay.

    Attributes:
        number: of the version that it makes; `last` whether that is the candidate.
        parent: that it starts from.
    """

    plan: Plan
    job: ReplayedJob
    number: int
    parent: str
    last: bool

    @property
    def version(self) -> str:
        """Id of the version that it makes."""
        return f"v{self.number}"


def advance(context: Context, cycle: Cycle) -> bool:
    """Train the next job of a replay; what is no replay is trained as ever."""
    with context.store.read() as tx:
        plan = Plan.model_validate(plans.get(tx, cycle.id).plan)
        made = [row.id for row in versions.of_cycle(tx, cycle.id)]
    if not plan.replay:
        return training.advance(context, cycle)
    step, last = len(made), len(made) + 1 == len(plan.replay)
    turn = _Turn(plan, plan.replay[step], cycle.number + step, [str(plan.replay_from), *made][-1], last)

    def build(folder: Path) -> TrainSpec:
        return _order(context, turn, folder)

    job_id = f"{cycle.id}-training-{step + 1}"
    answer = context.jobs.ensure(job_id, "learners", "train", build, cycle=cycle.id, step="training")
    if answer is None:
        return False
    base = training.published(context, job_id, turn.version).base
    _register(context, cycle, turn, base, TrainResult.model_validate(answer))
    return True


def _order(context: Context, turn: _Turn, folder: Path) -> TrainSpec:
    """What a job was asked the first time, from another parent and without the records."""
    with context.store.read() as tx:
        write_records(folder / "data.jsonl", disagreement.stated(tx, pool.get(tx, turn.job.records)))
        unrehearsed = forgetting.ids_of(tx) | set(turn.plan.records)
        planned = Plan.model_validate(plans.get(tx, turn.job.cycle).plan)
    return TrainSpec(
        version_id=turn.version,
        parent=context.layout.version(turn.parent),
        stage=turn.job.stage,
        method=turn.job.method,
        data=folder / "data.jsonl",
        unrehearsed=tuple(sorted(unrehearsed)),
        held_out=planned.held_out,
        settings=turn.job.settings,
        seed=turn.job.seed,
    )


def _register(context: Context, cycle: Cycle, turn: _Turn, base: str | None, result: TrainResult) -> None:
    """The last one as what the cycle was for; the others as what their jobs are."""
    job = turn.job
    why = f"{job.version} again without {job.records_before - len(job.records)} record(s): {training.told(result)}"
    stage, method, parent = (
        (cycle.stage, cycle.method, cycle.parent) if turn.last else (job.stage, job.method, turn.parent)
    )
    with context.store.write() as tx:
        versions.register(
            tx, turn.version, turn.number, parent=parent, base=base, digest=result.digest, stage=stage, method=method,
            cycle=cycle.id, who=DAEMON, why=why,
        )  # fmt: skip
        if turn.last:
            cycles.transition(tx, cycle.id, "training", "measuring", DAEMON, why, candidate=turn.version)
    context.log.info(f"cycle {cycle.id}: trained {turn.version}: {why}", action="cycle.trained", cycle=cycle.id)
