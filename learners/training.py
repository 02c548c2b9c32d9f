"""The `train` job: from a parent version and a selection of records to a new version.

Owns the lifecycle that every method shares: read and verify the parent, clean the records, let the method prepare its
material, wrap the model and compose its recipe, train, write the memory, save. Decides nothing (the plan did) and
measures nothing (monitors do). Called by `python -m learners` as the handler of kind `train`; the new version lies in
`output/version/`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sys import maxsize
from types import ModuleType
from typing import TYPE_CHECKING, Any

from learners import durable, ranks, sharing, together, weights
from learners.failures import InvalidInput
from learners.job import TrainResult, TrainSpec
from learners.loop import Outcome, Work
from learners.methods import load_method, settings_for
from learners.methods.contract import Material, Recipe, Run, Settings, Sources
from learners.parts import erase, extensions
from learners.parts.memory import Remembered, ReplayMemory
from learners.parts.mix import Batch, Order, Replay, plan_batches
from learners.parts.rows import AnyRow, Form
from learners.parts.unlearning import forgotten_rows
from learners.parts.views import VIEWS, View, rehearsable, rehearsal_rows, without_held_out
from learners.records import Record, read_records
from learners.stages import StageInfo, stage_info
from learners.trainer import execute
from learners.versions import Version, VersionSpec, read_version, write_data, write_spec

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from learners.worker import Job

__all__ = ["prepared", "train"]


@dataclass(frozen=True)
class _Task:
    """The request, resolved: everything that is known before the first weight is read."""

    order: TrainSpec
    settings: Settings
    method: ModuleType
    stage: StageInfo
    parent: Version
    memory: ReplayMemory
    folder: Path


def train(spec: dict[str, Any], job: Job) -> TrainResult:
    """Train a version; see `learners.job.TrainSpec` and `TrainResult`.

    Raises:
        InvalidInput: unknown method or setting, or no record that the stage can learn from.
        IncompleteFolder, DamagedFolder: the parent is not what its manifest says.
        Diverged, StopRequested: see `learners.trainer.execute`.
    """
    together.join()
    task = _resolve(TrainSpec.model_validate(spec), job)
    sources = _sources(task)
    material = _prepared(task, sources)
    run = _run(task, material, _wrapped(task, sources, material))
    recipe: Recipe = task.method.compose(run)
    work = Work(
        rows=material.rows,
        remembered=material.remembered,
        batches=_batches(task, material, recipe),
        form=material.form,
        recipe=recipe,
        settings=task.settings,
        seed=task.order.seed,
    )
    trainable = sum(weight.numel() for weight in run.model.parameters() if weight.requires_grad)
    outcome = execute(work, run.model, material.tokenizer, job)
    if ranks.rank() > 0:
        # the first process saves what all of them have
        return _result(task, material, work, outcome, trainable=trainable, digest="")
    for callback in recipe.after_training:
        callback()
    model = recipe.finish(run.model) if recipe.finish else run.model
    saved = weights.save_weights(model, material.tokenizer, task.folder)
    digest = _finish(task, material, saved, job.request.job_id)
    return _result(task, material, work, outcome, trainable=trainable, digest=digest)


def prepared(order: TrainSpec, job: Job) -> Material:
    """What a training job would learn from, as its method prepares it; nothing is trained. Raises as `train` does."""
    task = _resolve(order, job)
    return _prepared(task, _sources(task))


def _prepared(task: _Task, sources: Sources) -> Material:
    return task.method.prepare(sources) if hasattr(task.method, "prepare") else sources.material()


def _resolve(order: TrainSpec, job: Job) -> _Task:
    settings = settings_for(order.method, order.stage, order.settings)
    parent = read_version(order.parent)
    folder = job.output / "version"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if parent.memory.is_dir():
        shutil.copytree(parent.memory, folder / "memory")
    if order.unrehearsed:
        erase.records(folder / "memory", frozenset(order.unrehearsed))
    memory = ReplayMemory.read(parent.memory).without(frozenset(order.unrehearsed))
    return _Task(order, settings, load_method(order.method), stage_info(order.stage), parent, memory, folder)


def _sources(task: _Task) -> Sources:
    order = task.order
    cleaned = without_held_out(read_records(order.data), () if order.stage == "forget" else order.held_out)
    return Sources(
        settings=task.settings,
        records=[record for record in cleaned if record.kind in task.stage.kinds],
        others=[record for record in cleaned if record.kind not in task.stage.kinds],
        retained=without_held_out(read_records(order.retain), order.held_out) if order.retain else [],
        memory=task.memory,
        parent=task.parent,
        tokenizer=weights.read_tokenizer(task.parent.weights),
        memory_folder=task.folder / "memory",
        seed=order.seed,
        views=partial(_material, task),
        model=lambda: weights.load(order.parent, verify=False).model.requires_grad_(False),  # pyright: ignore
    )


def _material(
    task: _Task, records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, form: Form | None
) -> Material:
    limit = task.settings.max_length_tokens
    view = VIEWS[form] if form else View(task.stage.kinds, task.stage.rows)
    fitting = [record for record in records if record.kind in view.kinds]
    views = [(record, rows) for record in fitting if (rows := view.rows(record, tokenizer, limit))]
    if not views:
        raise InvalidInput(
            f"nothing in {task.order.data.name!r} can be learned by stage {task.order.stage!r} with method "
            f"{task.order.method!r}: it takes records of kind {', '.join(view.kinds)} with prompts shorter than "
            f"max_length_tokens={limit}; select other records"
        )
    return Material(
        records=[record for record, _ in views],
        rows=[row for _, rows in views for row in rows],
        form=form or task.stage.form,
        remembered=[
            row
            for item in task.memory.items
            for row in rehearsal_rows(item.record, tokenizer, limit, complete=item.complete)
        ],
        tokenizer=tokenizer,
    )


def _wrapped(task: _Task, sources: Sources, material: Material) -> PreTrainedModel:
    """The parent on its device, with what will be trained, and without the texts beside it that are to be forgotten."""
    if hasattr(task.method, "wrap"):
        model: PreTrainedModel = task.method.wrap(sources, material)
    else:
        model = weights.trainable_as_told(task.parent, task.settings, seed=task.order.seed)
    if task.order.stage == "forget" and task.settings.epochs:
        _forget_texts(material, model)
    # sliced weights go to their devices slice by slice
    return model if sharing.sliced() else model.to(weights.best_device())  # pyright: ignore


def _forget_texts(material: Material, model: PreTrainedModel) -> None:
    """Take what is to be forgotten out of an extension that keeps it word for word, cut however."""
    if extension := extensions.attached(model):
        rows = [row for one in material.records for row in forgotten_rows(one, material.tokenizer, maxsize)]
        extension.forget([row["input_ids"] for row in rows])


def _run(task: _Task, material: Material, model: PreTrainedModel) -> Run:
    limit = task.settings.max_length_tokens
    return Run(
        settings=task.settings,
        model=model,
        tokenizer=material.tokenizer,
        records=material.records,
        new=[row for record in material.records for row in rehearsal_rows(record, material.tokenizer, limit)],
        remembered=material.remembered,
        memory=task.memory,
        parent=task.parent,
        memory_folder=task.folder / "memory",
        seed=task.order.seed,
    )


def _batches(task: _Task, material: Material, recipe: Recipe) -> list[Batch]:
    settings, seed = task.settings, task.order.seed
    lengths = [_length(row) for row in material.rows]
    if recipe.plan:
        remembered = [_length(row) for row in material.remembered]
        return recipe.plan(Order(lengths, remembered, settings.batch_size, settings.epochs, seed))
    replay = Replay(len(material.remembered), recipe.replay_share)
    return plan_batches(lengths, settings.batch_size, settings.epochs, seed, replay)


def _length(row: AnyRow) -> int:
    return sum(len(ids) for name, ids in row.items() if name.endswith("_ids"))  # pyright: ignore


def _finish(task: _Task, material: Material, saved: weights.Saved, job_id: str) -> str:
    """Write what stands beside the weights, the manifest last; return the version's digest."""
    order, settings, parent = task.order, task.settings, task.parent.spec
    memory = task.memory.without(material.forgotten)
    if order.stage == "forget":
        write_data(task.folder, (), forgotten=material.records)
    else:
        lasting = [one for one in material.records if rehearsable(one) and one.id not in material.forgotten]
        learned = [Remembered(stage=order.stage, record=record) for record in lasting]
        memory = memory.remember(order.stage, learned, capacity=settings.memory_records, seed=order.seed)
        write_data(task.folder, material.records)
    memory.write(task.folder / "memory")
    spec = VersionSpec(
        id=order.version_id,
        parent=parent.id,
        base=(parent.base or parent.id) if saved.over_base else None,
        extension=saved.extension,
        stage=order.stage,
        method=order.method,
        settings=settings.model_dump(),
        created_by=job_id,
    )
    write_spec(task.folder, spec)
    return durable.write_manifest(task.folder)


def _result(
    task: _Task, material: Material, work: Work, outcome: Outcome, *, trainable: int, digest: str
) -> TrainResult:
    return TrainResult(
        version_id=task.order.version_id,
        records=len(material.records),
        replayed_records=len({index for batch in work.batches for index in batch.replayed}),
        tokens=outcome.tokens,
        steps=len(work.batches),
        first_loss=outcome.losses[0] if outcome.losses else 0.0,
        last_loss=outcome.losses[-1] if outcome.losses else 0.0,
        trainable_parameters=trainable,
        seed=task.order.seed,
        digest=digest,
    )
