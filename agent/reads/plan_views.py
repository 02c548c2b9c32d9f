"""What a plan would train on, token by token: asks a worker process, which has the tokenizer, and reads its answer.

Owns nothing but the question; the rows are made by `learners.viewing`, from the records and settings of the stored
plan. The store is only read, and what the worker writes is gone afterwards. Called by `cld plan views`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import learners
from agent import disagreement
from agent.config import Config
from agent.errors import CldError, NotFound
from agent.forgetting.kept import retained
from agent.planner.plan import Plan
from agent.root.layout import Layout
from agent.store import Session, cycles, forgetting, plans, pool
from agent.work.job_folder import Failed, Finished, log_tail, outcome
from learners.durable import write_atomic
from learners.job import JobRequest
from learners.records import write_records
from learners.viewing import ViewSpec

__all__ = ["plan_views"]


def plan_views(tx: Session, layout: Layout, config: Config, cycle_id: str, limit: int) -> dict[str, Any]:
    """The first rows of a plan's training material, as `learners.viewing.ViewResult` has them.

    Args:
        limit: rows shown, of the new material and of what may be rehearsed.

    Raises:
        NotFound: no such plan, or one that trains nothing.
        CldError: the worker could not prepare the rows; the message says why.
    """
    with TemporaryDirectory(prefix="cld-views-") as name:
        folder = Path(name)
        spec = _spec(tx, layout, config, cycle_id, limit, folder)
        request = JobRequest(job_id="views", kind="views", spec=spec.model_dump(mode="json"))
        write_atomic(folder / "job.json", request.model_dump_json())
        _work(folder)
        state = outcome(folder)
        if isinstance(state, Finished):
            return {"cycle": cycle_id, "stage": spec.stage, "method": spec.method, **state.result}
        why = state.failure.message if isinstance(state, Failed) else log_tail(folder)
    raise CldError(f"the rows of the plan of {cycle_id!r} cannot be shown: {why}")


def _spec(tx: Session, layout: Layout, config: Config, cycle_id: str, limit: int, folder: Path) -> ViewSpec:
    plan = Plan.model_validate(plans.get(tx, cycle_id).plan)
    parent = cycles.get(tx, cycle_id).parent
    if plan.stage is None or plan.method is None or parent is None:
        raise NotFound(
            f"the plan of {cycle_id!r} trains nothing: its action is {plan.action!r}; "
            f"`cld plan show {cycle_id}` says why"
        )
    if plan.replay:
        again = ", ".join(f"`cld plan views {job.cycle}`" for job in plan.replay)
        raise NotFound(f"the plan of {cycle_id!r} trains earlier plans again, less the forgotten records: see {again}")
    write_records(folder / "data.jsonl", disagreement.stated(tx, pool.get(tx, plan.records)))
    retain = folder / "retain.jsonl" if plan.stage == "forget" else None
    if retain is not None:
        write_records(retain, retained(tx, plan.records, config.forget.retain_records))
    return ViewSpec(
        version_id="views", parent=layout.version(parent), stage=plan.stage, method=plan.method, settings=plan.settings,
        data=folder / "data.jsonl", held_out=plan.held_out, seed=config.training.seed, limit=limit,
        retain=retain, unrehearsed=tuple(sorted(forgetting.ids_of(tx))),
    )  # fmt: skip


def _work(folder: Path) -> None:
    """Run the worker to its end; the folder says what came of it."""
    code = str(Path(learners.__path__[0]).parent)
    paths = os.pathsep.join(filter(None, (code, os.environ.get("PYTHONPATH", ""))))
    with (folder / "worker.log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-P", "-m", "learners", str(folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder, check=False,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
