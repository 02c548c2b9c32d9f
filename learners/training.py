"""The `train` job: from a parent version and a selection of records to a new version.

Owns the lifecycle that every method shares: read and verify the parent, clean the records, make rows, let the method
compose its recipe, train, write the memory, save. Decides nothing (the plan did) and measures nothing (monitors do).
Called by `python -m learners` as the handler of kind `train`; the new version lies in `output/version/`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learners import durable, weights
from learners.failures import InvalidInput
from learners.job import TrainResult, TrainSpec
from learners.methods import load_method, settings_for
from learners.methods.contract import Recipe, Run, Settings
from learners.parts.memory import Remembered, ReplayMemory
from learners.parts.mix import Replay, plan_batches
from learners.parts.views import PairRow, Row, rehearsal_rows, without_held_out
from learners.records import Record, read_records
from learners.stages import StageInfo, stage_info
from learners.trainer import Outcome, Work, execute
from learners.versions import Version, VersionSpec, read_version, write_data, write_spec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from learners.worker import Job

__all__ = ["train"]


@dataclass(frozen=True)
class _Task:
    """The request, resolved: everything that is known before the first weight is read."""

    order: TrainSpec
    settings: Settings
    stage: StageInfo
    parent: Version
    tokenizer: PreTrainedTokenizerBase
    folder: Path


@dataclass(frozen=True)
class _Material:
    """What there is to learn: records that give rows, and their rows; what is remembered, and its rows."""

    records: Sequence[Record]
    rows: Sequence[Any]
    memory: ReplayMemory
    remembered: Sequence[Row]


def train(spec: dict[str, Any], job: Job) -> TrainResult:
    """Train a version; see `learners.job.TrainSpec` and `TrainResult`.

    Raises:
        InvalidInput: unknown method or setting, or no record that the stage can learn from.
        IncompleteFolder, DamagedFolder: the parent is not what its manifest says.
        Diverged, StopRequested: see `learners.trainer.execute`.
    """
    task = _resolve(TrainSpec.model_validate(spec), job)
    material = _material(task)
    run = _run(task, material)
    recipe: Recipe = load_method(task.order.method).compose(run)
    work = _work(task, material, recipe)
    outcome = execute(work, run.model, task.tokenizer, job)
    for callback in recipe.after_training:
        callback()
    weights.save_weights(run.model, task.tokenizer, task.folder)
    return _result(task, material, work, outcome, digest=_finish(task, material, job.request.job_id))


def _resolve(order: TrainSpec, job: Job) -> _Task:
    settings = settings_for(order.method, order.stage, order.settings)
    parent = read_version(order.parent)
    folder = job.output / "version"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if parent.memory.is_dir():
        shutil.copytree(parent.memory, folder / "memory")
    tokenizer = weights.read_tokenizer(parent.weights)
    return _Task(order, settings, stage_info(order.stage), parent, tokenizer, folder)


def _material(task: _Task) -> _Material:
    order, limit = task.order, task.settings.max_length_tokens
    usable = [record for record in read_records(order.data) if record.kind in task.stage.kinds]
    views = [
        (record, rows)
        for record in without_held_out(usable, order.held_out)
        if (rows := task.stage.rows(record, task.tokenizer, limit))
    ]
    if not views:
        raise InvalidInput(
            f"nothing in {order.data.name!r} can be learned by stage {order.stage!r}: it takes records of kind "
            f"{', '.join(task.stage.kinds)} with prompts shorter than max_length_tokens={limit}; select other records"
        )
    memory = ReplayMemory.read(task.parent.memory)
    remembered = [
        row
        for item in memory.items
        for row in rehearsal_rows(item.record, task.tokenizer, limit, complete=item.complete)
    ]
    return _Material([record for record, _ in views], [row for _, rows in views for row in rows], memory, remembered)


def _run(task: _Task, material: _Material) -> Run:
    settings, seed = task.settings, task.order.seed
    model = weights.trainable(
        task.parent,
        rank=settings.lora_rank,
        alpha=settings.lora_alpha,
        full_weights=settings.full_weights,
        seed=seed,
    ).to(weights.best_device())  # pyright: ignore
    limit = settings.max_length_tokens
    return Run(
        settings=settings,
        model=model,
        new=[row for record in material.records for row in rehearsal_rows(record, task.tokenizer, limit)],
        remembered=material.remembered,
        memory=material.memory,
        inherited=task.parent.memory,
        memory_folder=task.folder / "memory",
        seed=seed,
    )


def _work(task: _Task, material: _Material, recipe: Recipe) -> Work:
    settings, seed = task.settings, task.order.seed
    replay = Replay(len(material.remembered), recipe.replay_share)
    lengths = [_length(row) for row in material.rows]
    batches = plan_batches(lengths, settings.batch_size, settings.epochs, seed, replay)
    return Work(material.rows, material.remembered, batches, task.stage.paired, recipe, settings, seed)


def _length(row: Row | PairRow) -> int:
    return sum(len(ids) for name, ids in row.items() if name != "labels")  # pyright: ignore


def _finish(task: _Task, material: _Material, job_id: str) -> str:
    """Write what stands beside the weights, the manifest last; return the version's digest."""
    order, settings, parent = task.order, task.settings, task.parent.spec
    learned = [Remembered(stage=order.stage, record=record) for record in material.records]
    memory = material.memory.remember(order.stage, learned, capacity=settings.memory_records, seed=order.seed)
    memory.write(task.folder / "memory")
    write_data(task.folder, material.records)
    spec = VersionSpec(
        id=order.version_id,
        parent=parent.id,
        base=None if settings.full_weights else parent.base or parent.id,
        stage=order.stage,
        method=order.method,
        settings=settings.model_dump(),
        created_by=job_id,
    )
    write_spec(task.folder, spec)
    return durable.write_manifest(task.folder)


def _result(task: _Task, material: _Material, work: Work, outcome: Outcome, *, digest: str) -> TrainResult:
    return TrainResult(
        version_id=task.order.version_id,
        records=len(material.records),
        replayed_records=len({index for batch in work.batches for index in batch.replayed}),
        tokens=outcome.tokens,
        steps=len(work.batches),
        first_loss=outcome.losses[0] if outcome.losses else 0.0,
        last_loss=outcome.losses[-1] if outcome.losses else 0.0,
        digest=digest,
    )
