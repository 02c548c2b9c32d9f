"""trl's trainers, extended in one place: batch plan, loss terms, after-step callbacks, safe checkpoints, a watch.

Owns how one training run is executed. Knows neither methods nor stages, only what they ask for (`Recipe` and rows).
`SFTTrainer` trains rows and `DPOTrainer` pairs; both get the same mixin, so a part works with either. Called by
`learners.training` alone.

Deterministic: on one machine, with one number of threads, two runs of equal `Work` give equal weights, and so does a
run that was killed and resumed. Not promised: equality across machines, thread counts, library versions, or on GPUs
whose kernels sum in varying order.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from learners import checkpoints
from learners.failures import Diverged
from learners.methods.contract import Recipe, Settings
from learners.parts.mix import Batch
from learners.parts.penalties import negative_log_likelihood
from learners.parts.schedule import warm_hold_decay
from learners.parts.views import PairRow, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerControl, TrainerState, TrainingArguments

    from learners.worker import Job

__all__ = ["Outcome", "Work", "execute"]

_FIRST_STEPS = 5  # the early losses that later ones are compared with
_EXPLOSION = 10.0
_OUTCOME = "outcome.json"
_CHECKPOINTS = "checkpoints"


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


def execute(work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job) -> Outcome:
    """Train `model` in place, from the latest complete checkpoint in `job.work` where there is one.

    Raises:
        Diverged: a loss that is not finite, or ten times those of the first steps.
        StopRequested: the job was asked to stop; a checkpoint was written.
    """
    if not work.batches:
        return Outcome()
    datasets.disable_progress_bars()
    os.environ["TQDM_DISABLE"] = "1"  # trl asks for it while it computes reference log-probabilities
    trainer = (_PairTrainer if work.paired else _RowTrainer)(work, model, tokenizer, job)
    checkpoint = checkpoints.find(job.work / _CHECKPOINTS)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    job.check_stop()
    _refuse_broken(model)
    return trainer.outcome


def _refuse_broken(model: PreTrainedModel) -> None:
    """The last step's loss was seen before its update; look at what the update left."""
    for name, weight in model.named_parameters():
        if weight.requires_grad and not bool(weight.isfinite().all()):
            raise Diverged(f"weight {name!r} is not finite after training; lower learning_rate")


class _Extended:
    """What both trainers share; a mixin before a trl trainer."""

    work: Work
    outcome: Outcome
    job: Job
    lr_scheduler: Any
    _rows: DataCollatorForLanguageModeling
    _new: Callable[[Sequence[int]], dict[str, Any]]

    def get_train_dataloader(self) -> Any:
        """One item a step, in the planned order; transformers skips what a checkpoint says is done."""
        steps = DataLoader(self.work.batches, batch_size=1, shuffle=False, collate_fn=self._batch)  # pyright: ignore
        return self.accelerator.prepare(steps)  # pyright: ignore

    def _batch(self, steps: list[Batch]) -> dict[str, Any]:
        (step,) = steps
        batch = self._new(step.new)
        if step.replayed:
            batch["rehearsal"] = self._rows([self.work.remembered[index] for index in step.replayed])
        return batch

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """The project's schedule in place of transformers'."""
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, warm_hold_decay(num_training_steps))  # pyright: ignore
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The stage's loss plus the method's terms, watched."""
        rehearsal = inputs.pop("rehearsal", None)
        loss = self._stage_loss(model, inputs, *args, **kwargs)
        for term in self.work.recipe.losses:
            loss = loss + term(model, rehearsal)
        self._watch(float(loss.detach()))
        masks = [batch["attention_mask"] for batch in (inputs, rehearsal) if batch]
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
            documents=documents,
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        checkpoints.load_weights(folder, self.model)  # pyright: ignore
        self.outcome = Outcome(**json.loads((folder / _OUTCOME).read_bytes()))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.load_optimizer(Path(checkpoint), self.optimizer, self.lr_scheduler)  # pyright: ignore

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.load_random_state(Path(checkpoint))


class _RowTrainer(_Extended, SFTTrainer):
    """cpt and cit: the mean negative log-likelihood of the new rows' tokens."""

    def __init__(self, work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job) -> None:
        self.work, self.job, self.outcome = work, job, Outcome()
        self._rows = DataCollatorForLanguageModeling(pad_token_id=_pad(tokenizer))
        arguments = SFTConfig(**_arguments(work, job), dataset_kwargs={"skip_prepare_dataset": True}, max_length=None)
        super().__init__(
            model=model, args=arguments, train_dataset=_table(work.rows), processing_class=tokenizer,
            callbacks=[_Callback(self)],
        )  # fmt: skip
        self.remove_callback(PrinterCallback)

    def _stage_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """On a GPU trl's, which saves memory by computing logits twice; on the CPU the same number in less time."""
        if torch.cuda.is_available():
            return super()._stage_loss(model, inputs, *args, **kwargs)
        return negative_log_likelihood(model, inputs)

    def _new(self, indices: Sequence[int]) -> dict[str, Any]:
        return self._rows([self.work.rows[index] for index in indices])


class _PairTrainer(_Extended, DPOTrainer):
    """ca: preferences, against the parent as reference policy.

    The reference log-probabilities are computed once, before the first step, while the weights still are the parent's.
    """

    def __init__(self, work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job) -> None:
        self.work, self.job, self.outcome = work, job, Outcome()
        self._rows = DataCollatorForLanguageModeling(pad_token_id=_pad(tokenizer))
        self._pairs = DataCollatorForPreference(pad_token_id=_pad(tokenizer))
        arguments = DPOConfig(**_arguments(work, job), precompute_ref_log_probs=True, max_length=None)
        super().__init__(
            model=model, args=arguments, train_dataset=_table(work.rows), processing_class=tokenizer,
            callbacks=[_Callback(self)],
        )  # fmt: skip
        self.remove_callback(PrinterCallback)
        if "ref" in getattr(model, "peft_config", {}):
            model.delete_adapter("ref")

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """The rows are tokens already."""
        return dataset

    def _new(self, indices: Sequence[int]) -> dict[str, Any]:
        return self._pairs([self.train_dataset[index] for index in indices])


class _Callback(TrainerCallback):
    """Progress, the method's after-step callbacks and the supervisor's wish to stop."""

    def __init__(self, trainer: _Extended) -> None:
        self._trainer = trainer
        self._started = time.monotonic()
        self._tokens_before = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clock."""
        self._started, self._tokens_before = time.monotonic(), self._trainer.outcome.tokens

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Let the method change what the step did."""
        for callback in self._trainer.work.recipe.after_step:
            callback(kwargs["model"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Report; save and stop when asked to."""
        outcome, job = self._trainer.outcome, self._trainer.job
        rate = (outcome.tokens - self._tokens_before) / max(time.monotonic() - self._started, 1e-9)
        total = len(self._trainer.work.batches)
        job.progress(state.global_step, total, "training", loss=outcome.losses[-1], tokens_per_second=rate)
        if job.stop_requested:
            control.should_save = True
            control.should_training_stop = True


def _arguments(work: Work, job: Job) -> dict[str, Any]:
    """Arguments shared by trl's configurations; the method's own come last."""
    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(job.work / _CHECKPOINTS),
        "learning_rate": work.settings.learning_rate,
        "max_steps": len(work.batches),
        "per_device_train_batch_size": work.settings.batch_size,
        "optim": "adamw_torch",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": work.seed,
        "bf16": on_gpu and torch.cuda.is_bf16_supported(),
        "use_cpu": not on_gpu,
        "gradient_checkpointing": False,
        "save_strategy": "steps",
        "save_steps": work.settings.checkpoint_steps,
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": on_gpu,
        "remove_unused_columns": False,
        **(work.recipe.trainer or {}),
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> datasets.Dataset:
    return datasets.Dataset.from_list([dict(row) for row in rows])


def _pad(tokenizer: PreTrainedTokenizerBase) -> int:
    return int(tokenizer.pad_token_id)  # pyright: ignore
