"""The one trainer: trl's, with the extension points of `learners.loop`.

Owns how one training run is executed: which trl trainer, its arguments, resuming, and refusing what broke. Knows
neither methods nor stages, only what they ask for (`Recipe` and rows). The form of the rows decides: `SFTTrainer`
trains rows, `DPOTrainer` pairs, `KTOTrainer` labels and `GRPOTrainer` prompts; all get the same mixin, so a part works
with any of them. Called by `learners.training` alone.

Deterministic: on one machine, with one number of threads, two runs of equal `Work` give equal weights, and so does a
run that was killed and resumed. Not promised: equality across machines, thread counts, library versions, or on GPUs
whose kernels sum in varying order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import datasets
import torch
from transformers import PrinterCallback
from transformers.utils.import_utils import is_liger_kernel_available
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from learners import checkpoints, ranks
from learners.failures import Diverged
from learners.loop import Extended, Outcome, StepCallback, Work, padding_token, table
from learners.parts.likelihood import negative_log_likelihood
from learners.parts.packing import allow, packed
from learners.parts.rows import learned_tokens
from learners.policy_trainer import PromptTrainer
from learners.preference_trainers import LabelTrainer, PairTrainer
from learners.sharing import gather, refuse_unknown_sharing, refuse_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from learners.parts.mix import Batch
    from learners.worker import Job

__all__ = ["execute", "fused_layers"]

_CHECKPOINTS = "checkpoints"
_OF_FORM = {"pairs": PairTrainer, "labels": LabelTrainer, "prompts": PromptTrainer}


def execute(work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job) -> Outcome:
    """Train `model` in place, from the latest complete checkpoint in `job.work` where there is one.

    Raises:
        InvalidInput: the weights are shared out in a way from which no version can be saved, or with which this run
            cannot train.
        Diverged: a loss that is not finite, or ten times those of the first steps.
        StopRequested: the job was asked to stop; a checkpoint was written.
    """
    if not work.batches:
        return Outcome()
    refuse_whole(work, model)
    if work.settings.packing:
        allow(model)
    datasets.disable_progress_bars()
    os.environ["TQDM_DISABLE"] = "1"  # trl asks for it while it computes reference log-probabilities
    trainer = _trainer(work, model, tokenizer, job)
    refuse_unknown_sharing(trainer.accelerator.state)
    checkpoint = checkpoints.find(job.work / _CHECKPOINTS)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    job.check_stop()
    gather(model)
    _refuse_broken(model)
    return trainer.outcome


def _trainer(work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job) -> Any:
    if work.form == "rows":
        return _RowTrainer(work, model, tokenizer, job)
    return _OF_FORM[work.form](work, model, tokenizer, job, _arguments(work, job))


def _refuse_broken(model: PreTrainedModel) -> None:
    """The last step's loss was seen before its update; look at what the update left."""
    for name, weight in model.named_parameters():
        if weight.requires_grad and not bool(weight.isfinite().all()):
            raise Diverged(f"weight {name!r} is not finite after training; lower learning_rate")


class _RowTrainer(Extended, SFTTrainer):
    """cpt and cit: the mean negative log-likelihood of the new rows' tokens."""

    def __init__(self, work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job) -> None:
        self.work, self.job, self.outcome = work, job, Outcome()
        self._rows = DataCollatorForLanguageModeling(pad_token_id=padding_token(tokenizer))
        arguments = SFTConfig(**_arguments(work, job), dataset_kwargs={"skip_prepare_dataset": True}, max_length=None)
        super().__init__(
            model=model, args=arguments, train_dataset=table(work.rows), processing_class=tokenizer,
            callbacks=[StepCallback(self)],
        )  # fmt: skip
        self.remove_callback(PrinterCallback)

    def _stage_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """On a GPU trl's, which saves memory by computing logits twice; on the CPU the same number in less time."""
        if torch.cuda.is_available():
            return self._trls_loss(model, inputs, *args, **kwargs)
        return negative_log_likelihood(model, inputs)

    def _trls_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        fewer = packed(model, inputs)
        return super()._stage_loss(model, fewer.batch if fewer else inputs, *args, **kwargs)

    def _new(self, new: Sequence[int], joined: Sequence[int]) -> dict[str, Any]:
        return self._rows(self._of(new, joined))

    def _learned(self, step: Batch) -> int:
        return sum(map(learned_tokens, self._of(step.new, step.replayed if self.work.recipe.joined else ())))

    def _of(self, new: Sequence[int], joined: Sequence[int]) -> list[Any]:
        return [self.work.rows[index] for index in new] + [self.work.remembered[index] for index in joined]


def half_precision(asked: str, *, on_gpu: bool) -> bool:
    """Whether the computation is in bfloat16; see `learners.methods.contract.Settings.precision`."""
    return asked == "bfloat16" or (asked == "auto" and on_gpu and torch.cuda.is_bf16_supported())


def fused_layers(*, on_gpu: bool, liger: bool) -> bool:
    """Whether liger-kernel's layers (extra `gpu`) take the place of the model's: on a GPU where it is installed."""
    return on_gpu and liger


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
        "average_tokens_across_devices": ranks.count() == 1,  # else the batch's weights do it, for every loss
        "seed": work.seed,
        "bf16": half_precision(work.settings.precision, on_gpu=on_gpu),
        "use_cpu": not on_gpu,
        "gradient_checkpointing": work.settings.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if work.settings.gradient_checkpointing else None,
        "use_liger_kernel": fused_layers(on_gpu=on_gpu, liger=is_liger_kernel_available()),
        "save_strategy": "steps",
        "save_steps": work.settings.checkpoint_steps,
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": on_gpu,
        "remove_unused_columns": False,
        **(work.recipe.trainer or {}),
    }
