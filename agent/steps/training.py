"""training -> measuring: a worker trains the candidate; its folder becomes a version.

Called by `agent.steps.replaying`, which trains the jobs of a replay itself.
"""

from __future__ import annotations

from pathlib import Path

from agent import disagreement
from agent.context import DAEMON, Context
from agent.forgetting.kept import retained
from agent.planner.plan import Plan
from agent.store import Session, cycles, forgetting, plans, pool, versions
from agent.store.cycles import Cycle
from learners.durable import MANIFEST, publish
from learners.job import TrainResult, TrainSpec
from learners.records import write_records
from learners.versions import VersionSpec, read_version

__all__ = ["advance", "published", "told"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Train what the plan says; publish and register the result."""
    with context.store.read() as tx:
        plan = Plan.model_validate(plans.get(tx, cycle.id).plan)
    if plan.stage is None or plan.method is None or cycle.parent is None:
        raise ValueError(f"cycle {cycle.id} reached training with plan {plan.name!r} and parent {cycle.parent!r}")
    stage, method, parent = plan.stage, plan.method, context.layout.version(cycle.parent)
    candidate = f"v{cycle.number}"
    job_id = f"{cycle.id}-training"

    def build(folder: Path) -> TrainSpec:
        with context.store.read() as tx:
            write_records(folder / "data.jsonl", disagreement.stated(tx, pool.get(tx, plan.records)))
            retain = _retain(context, tx, plan, folder / "retain.jsonl") if stage == "forget" else None
            unrehearsed = tuple(sorted(forgetting.ids_of(tx)))
        return TrainSpec(
            version_id=candidate,
            parent=parent,
            stage=stage,
            method=method,
            data=folder / "data.jsonl",
            retain=retain,
            unrehearsed=unrehearsed,
            held_out=plan.held_out,
            settings=plan.settings,
            seed=context.config.training.seed,
        )

    answer = context.jobs.ensure(job_id, "learners", "train", build, cycle=cycle.id, step="training")
    if answer is None:
        return False
    result = TrainResult.model_validate(answer)
    _publish(context, cycle, candidate, result)
    return True


def _retain(context: Context, tx: Session, plan: Plan, path: Path) -> Path:
    """Write the neighbours that a cycle that forgets must keep."""
    write_records(path, retained(tx, plan.records, context.config.forget.retain_records))
    return path


def published(context: Context, job_id: str, version_id: str) -> VersionSpec:
    """What a training job made, as a version's folder; may be repeated after any crash.

    Raises:
        DamagedFolder, IncompleteFolder: it is not what the worker left.
    """
    staging, final = context.layout.job(job_id) / "output" / "version", context.layout.version(version_id)
    _make_way(context, staging, final)
    publish(staging, final)
    return read_version(final).spec


def _make_way(context: Context, staging: Path, final: Path) -> None:
    """Set aside what another history left under a version's number: a backup that was put back gives it again."""
    if not final.exists() or not (staging / MANIFEST).exists() or _same(staging, final):
        return
    with context.store.read() as tx:
        registered = versions.find(tx, final.name) is not None
    if not registered:  # a registered one that differs is damaged, and `publish` says so
        aside = final.rename(context.layout.aside(final))
        why = f"versions/{final.name} was of another history: it lies in versions/{aside.name} now"
        context.log.warning(why, action="version.folder_set_aside", version=final.name)


def _same(staging: Path, final: Path) -> bool:
    manifest = final / MANIFEST
    return manifest.exists() and manifest.read_bytes() == (staging / MANIFEST).read_bytes()


def told(result: TrainResult) -> str:
    """What a training job did, in a sentence."""
    return (
        f"{result.steps} step(s) of {result.trainable_parameters:,} parameters on {result.tokens} tokens, "
        f"loss {result.first_loss:.2f} -> {result.last_loss:.2f}"
    )


def _publish(context: Context, cycle: Cycle, candidate: str, result: TrainResult) -> None:
    spec = published(context, f"{cycle.id}-training", candidate)
    why = told(result)
    with context.store.write() as tx:
        versions.register(
            tx,
            candidate,
            cycle.number,
            parent=spec.parent,
            base=spec.base,
            digest=result.digest,
            stage=spec.stage,
            method=spec.method,
            cycle=cycle.id,
            who=DAEMON,
            why=why,
        )
        cycles.transition(tx, cycle.id, "training", "measuring", DAEMON, why, candidate=candidate)
    context.log.info(f"cycle {cycle.id}: trained {candidate}: {why}", action="cycle.trained", cycle=cycle.id)
