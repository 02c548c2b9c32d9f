"""What a trl trainer does at every step, extended in one place: batches, loss terms, updates, checkpoints, a watch.

Owns `Extended`, a mixin before a trl trainer, and the records that say what is run (`Work`) and what came of it
(`Outcome`). Knows neither methods nor stages, only what they ask for (`Recipe`, batches and rows). The trainers that
it is mixed into are in `learners.trainer`, `learners.preference_trainers` and `learners.policy_trainer`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import TrainerCallback

from learners import checkpoints, ranks
from learners.failures import Diverged
from learners.methods.contract import Moment, Recipe, Settings, Step
from learners.parts.mix import Batch
from learners.parts.rows import AnyRow, Form, Row
from learners.parts.schedule import warm_hold_decay
from learners.together import average_gradients, unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, TrainerControl, TrainerState, TrainingArguments

    from learners.worker import Job

__all__ = ["Extended", "Outcome", "StepCallback", "Work", "padding_token", "table"]

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
        rows: what is learned.
        form: of those rows.
        remembered: what may be rehearsed.
        batches: who is in each step; indices into both.
        recipe: what the method adds.
    """

    rows: Sequence[AnyRow]
    form: Form
    remembered: Sequence[Row]
    batches: Sequence[Batch]
    recipe: Recipe
    settings: Settings
    seed: int


class Extended:
    """What every trainer shares.

    A trainer says how `_new` rows become a batch, and may replace `_stage_loss` and tell `metrics` beside the loss.
    """

    work: Work
    outcome: Outcome
    job: Job
    lr_scheduler: Any
    _all_stop = False
    _rows: Callable[[list[Any]], dict[str, Any]]
    _new: Callable[[Sequence[int], Sequence[int]], dict[str, Any]]

    def get_train_dataloader(self) -> Any:
        """One item a step, in the planned order; transformers skips what a checkpoint says is done."""
        steps = DataLoader(self.work.batches, batch_size=1, shuffle=False, collate_fn=self._batch)  # pyright: ignore
        # Among several processes, accelerate would hand out whole steps; here each takes its part of every step.
        return steps if ranks.count() > 1 else self.accelerator.prepare(steps)  # pyright: ignore

    @property
    def _parted(self) -> bool:
        """Whether each of several processes gets a part of a batch, and its loss a weight; else it has all of it."""
        return ranks.count() > 1 and self.work.form == "rows" and not self.work.recipe.whole

    def _batch(self, steps: list[Batch]) -> dict[str, Any]:
        joined = self.work.recipe.joined
        step, counts = ranks.part(steps[0], joined=joined) if self._parted else (steps[0], True)
        batch = self._new(step.new, step.replayed if joined else ())
        if step.replayed and not joined:
            batch["rehearsal"] = self._rows([self.work.remembered[index] for index in step.replayed])
        if self._parted:
            weight = self._learned(step) * ranks.count() / self._learned(steps[0]) if counts else 0.0
            batch["weight"] = torch.tensor(weight)
        return batch

    def _learned(self, step: Batch) -> int:
        """What the stage's loss is the mean of, here the new rows."""
        return len(step.new)

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

    def metrics(self) -> dict[str, float]:
        """What the last step was, beside its loss; shown with the progress."""
        return {}

    def training_step(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """trl's; data-parallel processes average their gradients when all of them are there."""
        if not isinstance(model, DistributedDataParallel):
            return super().training_step(model, *args, **kwargs)  # pyright: ignore
        with model.no_sync():
            loss = super().training_step(model, *args, **kwargs)  # pyright: ignore
        average_gradients(unwrapped(model))  # pyright: ignore
        return loss

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The stage's loss, or what the method puts in its place, plus the method's terms, watched.

        The terms come first, each with its gradients, so that what they read and what the stage reads is never held in
        memory at once; what is returned has the gradients of the stage's loss alone.
        """
        rehearsal, weight = inputs.pop("rehearsal", None), inputs.pop("weight", None)
        recipe, step = self.work.recipe, Step(dict(inputs), rehearsal, self.moment())
        share = 1.0 if weight is None else weight
        # among several processes `model` wraps self.model
        added = [self._taken(term(self.model, step) * share) for term in recipe.losses]  # pyright: ignore
        own = recipe.stage_loss
        loss = own(model, step) if own else self._stage_loss(model, inputs, *args, **kwargs)
        loss = loss * share + sum(added)
        self._tell(float(loss.detach()), self._read(step, counts=weight is None or float(weight) > 0))
        return loss

    def _taken(self, term: torch.Tensor) -> torch.Tensor:
        """A term whose gradients are added up already; its value."""
        if term.requires_grad:
            self.accelerator.backward(term)  # pyright: ignore
        return term.detach()

    def _read(self, step: Step, *, counts: bool) -> int:
        """Tokens of a step that no other process counts."""
        own = _tokens(step.new) if counts and (self._parted or ranks.rank() == 0) else 0
        return own + (_tokens(step.rehearsal) if step.rehearsal and ranks.rank() == 0 else 0)

    def _tell(self, loss: float, tokens: int) -> None:
        """Watch and count; among several processes, what they found together."""
        asked = float(self.job.stop_requested)
        mean, read, stop = ranks.total([loss / ranks.count(), tokens, asked])
        self.outcome.tokens += int(read)
        self._all_stop = stop > 0
        self._watch(mean)

    @property
    def stopping(self) -> bool:
        """Whether to save and stop after this step; several processes agree on it."""
        return self._all_stop if ranks.count() > 1 else self.job.stop_requested

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
        self.accelerator.wait_for_everyone()  # pyright: ignore

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


def _tokens(batch: Mapping[str, torch.Tensor]) -> int:
    return sum(int(mask.sum()) for name, mask in batch.items() if name.endswith("attention_mask"))


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
        told = {"loss": outcome.losses[-1], "tokens_per_second": rate, **self._trainer.metrics()}
        job.progress(state.global_step, total, "training", **told)
        if self._trainer.stopping:
            control.should_save = True
            control.should_training_stop = True


def table(rows: Sequence[Mapping[str, Any]]) -> datasets.Dataset:
    """Rows as trl wants them."""
    return datasets.Dataset.from_list([dict(row) for row in rows])


def padding_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token that pads."""
    return int(tokenizer.pad_token_id)  # pyright: ignore
