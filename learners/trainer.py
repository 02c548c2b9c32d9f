"""The one trainer: trl's, with the extension points of `learners.loop`.

Owns how one training run is executed: which trl trainer, its arguments, resuming, and refusing what broke. Knows
neither methods nor stages, only what they ask for (`Recipe` and rows). `SFTTrainer` trains rows and `DPOTrainer` pairs;
both get the same mixin, so a part works with either. Called by `learners.training` alone.

Deterministic: on one machine, with one number of threads, two runs of equal `Work` give equal weights, and so does a
run that was killed and resumed. Not promised: equality across machines, thread counts, library versions, or on GPUs
whose kernels sum in varying order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import datasets
import torch
from transformers import PrinterCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from learners import checkpoints
from learners.failures import Diverged, InvalidInput
from learners.loop import Extended, Outcome, StepCallback, Work
from learners.parts.penalties import negative_log_likelihood

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from learners.worker import Job

__all__ = ["execute"]

_CHECKPOINTS = "checkpoints"


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


class _RowTrainer(Extended, SFTTrainer):
    """cpt and cit: the mean negative log-likelihood of the new rows' tokens."""

    def __init__(self, work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job) -> None:
        self.work, self.job, self.outcome = work, job, Outcome()
        self._rows = DataCollatorForLanguageModeling(pad_token_id=_pad(tokenizer))
        arguments = SFTConfig(**_arguments(work, job), dataset_kwargs={"skip_prepare_dataset": True}, max_length=None)
        super().__init__(
            model=model, args=arguments, train_dataset=_table(work.rows), processing_class=tokenizer,
            callbacks=[StepCallback(self)],
        )  # fmt: skip
        self.remove_callback(PrinterCallback)

    def _stage_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """On a GPU trl's, which saves memory by computing logits twice; on the CPU the same number in less time."""
        if torch.cuda.is_available():
            return super()._stage_loss(model, inputs, *args, **kwargs)
        return negative_log_likelihood(model, inputs)

    def _new(self, new: Sequence[int], joined: Sequence[int]) -> dict[str, Any]:
        rows = [self.work.rows[index] for index in new] + [self.work.remembered[index] for index in joined]
        return self._rows(rows)


class _PairTrainer(Extended, DPOTrainer):
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
            callbacks=[StepCallback(self)],
        )  # fmt: skip
        self.remove_callback(PrinterCallback)
        if "ref" in getattr(model, "peft_config", {}):
            model.delete_adapter("ref")

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """The rows are tokens already."""
        return dataset

    def _new(self, new: Sequence[int], joined: Sequence[int]) -> dict[str, Any]:
        if joined:
            raise InvalidInput("rehearsed rows are no preferences and cannot join a batch of pairs; rehearse by a term")
        return self._pairs([self.train_dataset[index] for index in new])


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
