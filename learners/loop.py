"""What a trl trainer does at every step, extended in one place: batches, loss terms, updates, checkpoints, a watch.

Owns `Extended`, a mixin before a trl trainer, and the records that say what is run (`Work`) and what came of it
(`Outcome`). Knows neither methods nor stages, only what they ask for (`Recipe`, batches and rows). The trainers that
it is mixed into are in `learners.trainer`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import TrainerCallback

from learners import checkpoints
from learners.failures import Diverged
from learners.methods.contract import Moment, Recipe, Settings, Step
from learners.parts.mix import Batch
from learners.parts.schedule import warm_hold_decay
from learners.parts.views import PairRow, Row

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from learners.worker import Job

__all__ = ["Extended", "Outcome", "StepCallback", "Work"]

_FIRST_STEPS = 5  # the early losses that later ones are compared with
_EXPLOSION = 10.0
_OUTCOME = "outcome.json"


@dataclass
class Outcome:
    """What a run did, earlier attempts included: tokens that went through the model, and the loss of every step."""

    tokens: int = 0
    losses: list[float] = field(default_factory=list[float])


@dataclass(frozen=True)
class Work:
    """One run.

    Attributes:
        rows: what is learned; pairs where `paired`.
        remembered: what may be rehearsed.
        batches: who is in each step; indices into both.
        recipe: what the method adds.
    """

    rows: Sequence[Row] | Sequence[PairRow]
    remembered: Sequence[Row]
    batches: Sequence[Batch]
    paired: bool
    recipe: Recipe
    settings: Settings
    seed: int


class Extended:
    """What every trainer shares.

    A trainer says how `_new` rows become a batch and may replace `_stage_loss`.
    """

    work: Work
    outcome: Outcome
    job: Job
    lr_scheduler: Any
    _rows: Callable[[list[Any]], dict[str, Any]]
    _new: Callable[[Sequence[int], Sequence[int]], dict[str, Any]]

    def get_train_dataloader(self) -> Any:
        """One item a step, in the planned order; transformers skips what a checkpoint says is done."""
        steps = DataLoader(self.work.batches, batch_size=1, shuffle=False, collate_fn=self._batch)  # pyright: ignore
        return self.accelerator.prepare(steps)  # pyright: ignore

    def _batch(self, steps: list[Batch]) -> dict[str, Any]:
        (step,) = steps
        if self.work.recipe.joined:
            return self._new(step.new, step.replayed)
        batch = self._new(step.new, ())
        if step.replayed:
            batch["rehearsal"] = self._rows([self.work.remembered[index] for index in step.replayed])
        return batch

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """The method's schedule, or the project's, in place of transformers'."""
        if self.lr_scheduler is None:
            schedule = self.work.recipe.schedule or warm_hold_decay
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, schedule(num_training_steps))  # pyright: ignore
        return self.lr_scheduler

    def moment(self) -> Moment:
        """The step that is being taken."""
        rate = float(self.lr_scheduler.get_last_lr()[0])
        return Moment(self.state.global_step, len(self.work.batches), rate)  # pyright: ignore

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The stage's loss, or what the method puts in its place, plus the method's terms, watched."""
        rehearsal = inputs.pop("rehearsal", None)
        recipe, step = self.work.recipe, Step(dict(inputs), rehearsal, self.moment())
        own = recipe.stage_loss
        loss = own(model, step) if own else self._stage_loss(model, inputs, *args, **kwargs)
        for term in recipe.losses:
            loss = loss + term(model, step)
        self._watch(float(loss.detach()))
        masks = [batch["attention_mask"] for batch in (step.new, rehearsal) if batch]
        self.outcome.tokens += sum(int(mask.sum()) for mask in masks)
        return loss

    def _stage_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """trl's loss of the stage."""
        return super().compute_loss(model, inputs, *args, **kwargs)  # pyright: ignore

    def _watch(self, loss: float) -> None:
        early = self.outcome.losses[:_FIRST_STEPS]
        limit = _EXPLOSION * max(sum(early) / len(early), 1.0) if len(early) == _FIRST_STEPS else math.inf
        if not math.isfinite(loss) or loss > limit:
            raise Diverged(
                f"loss is {loss!r} at step {len(self.outcome.losses) + 1} of {len(self.work.batches)}, above the limit "
                f"of {limit:.4g}; lower learning_rate, now {self.work.settings.learning_rate!r}"
            )
        self.outcome.losses.append(loss)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """In place of transformers' own, which holds pickles and is written in place."""
        final = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"  # pyright: ignore
        documents = {checkpoints.STATE: asdict(self.state), _OUTCOME: asdict(self.outcome)}  # pyright: ignore
        checkpoints.save(
            final,
            model=self.model,  # pyright: ignore
            optimizer=self.optimizer,  # pyright: ignore
            schedule=self.lr_scheduler,  # pyright: ignore
            method_state=self.work.recipe.state,
            documents=documents,
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        checkpoints.load_weights(folder, self.model)  # pyright: ignore
        self.work.recipe.state.update(checkpoints.load_method_state(folder))
        self.outcome = Outcome(**json.loads((folder / _OUTCOME).read_bytes()))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.load_optimizer(Path(checkpoint), self.optimizer, self.lr_scheduler)  # pyright: ignore

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.load_random_state(Path(checkpoint))


class StepCallback(TrainerCallback):
    """Progress, what the method does before and after a step, and the supervisor's wish to stop."""

    def __init__(self, trainer: Extended) -> None:
        self._trainer = trainer
        self._started = time.monotonic()
        self._tokens_before = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clock."""
        self._started, self._tokens_before = time.monotonic(), self._trainer.outcome.tokens

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Let the method see the gradients, and the weights before the step."""
        for callback in self._trainer.work.recipe.before_step:
            callback(kwargs["model"], self._trainer.moment())

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Let the method change what the step did."""
        for callback in self._trainer.work.recipe.after_step:
            callback(kwargs["model"], self._trainer.moment())

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Report; save and stop when asked to."""
        outcome, job = self._trainer.outcome, self._trainer.job
        rate = (outcome.tokens - self._tokens_before) / max(time.monotonic() - self._started, 1e-9)
        total = len(self._trainer.work.batches)
        job.progress(state.global_step, total, "training", loss=outcome.losses[-1], tokens_per_second=rate)
        if job.stop_requested:
            control.should_save = True
            control.should_training_stop = True
