"""One contender, in a process of its own: `python -m benchmarks.training.contenders FOLDER`.

    cld          `learners.trainer`, as the train job uses it, in bfloat16 where the machine computes in it
    trl          `trl.SFTTrainer` with the settings it comes with: random order, gradient checkpointing, and bfloat16
                 but on a processor that only emulates it, where float32 is many times faster
    cld_float32  cld's trainer in float32
    trl_matched  trl's in cld's order of batches, in float32, without checkpointing: its losses must be those of
                 cld_float32, step for step, which shows that both do the same work
    trl_liger    trl with liger-kernel's layers and loss, without checkpointing; where there is a GPU and liger-kernel

Owns the equality of everything else: model, LoRA weights, rows, number of steps, learning rate, optimizer. The clock
runs from the end of the first step to the end of the last, so loading and warming up count for nobody; tokens are
real ones, padding left out. Called by `benchmarks.training`.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import datasets
import torch
from pydantic import BaseModel, ConfigDict
from transformers import TrainerCallback
from transformers.utils.import_utils import is_liger_kernel_available
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from benchmarks.methods.setup import Setup
from benchmarks.methods.tasks import task
from learners import weights
from learners.durable import write_atomic
from learners.job import JobRequest
from learners.loop import Work
from learners.methods import settings_for
from learners.methods.contract import Recipe
from learners.parts.mix import Batch, plan_batches
from learners.parts.rows import Row
from learners.stages import stage_info
from learners.trainer import execute
from learners.versions import read_version
from learners.worker import Job
from monitors.precision import native_dtype

__all__ = ["CONTENDERS", "Contender", "Heat", "Lap", "able", "run"]

Contender = Literal["cld", "trl", "cld_float32", "trl_matched", "trl_liger"]

_TASKS = ("task1510", "sst2", "task875", "agnews")
_RANK, _ALPHA, _MAX_LENGTH_TOKENS = 16, 32, 512
_NEVER_STEPS = 10**6


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Heat(_Frozen):
    """`heat.json`: what one contender is asked to train.

    Attributes:
        stage: `cit` learns answers alone, `cpt` every token.
        rows: a multiple of `batch_size`; one pass is made over them.
        base: version folder.
    """

    contender: Contender
    stage: Literal["cit", "cpt"]
    rows: int
    batch_size: int
    learning_rate: float = 2e-4
    seed: int = 0
    base: Path


class Lap(_Frozen):
    """`lap.json`: what came of it.

    Attributes:
        tokens_per_second: by the clock on the wall.
        tokens_per_cpu_second: by the processor time of all threads, which a busy machine disturbs less.
        read_share: places that went through the model, of the tokens of all rows: above 1 by padding, below it where
            rows share what they begin with.
        peak_memory_bytes: of the process, or of the GPU where there is one.
    """

    contender: Contender
    tokens_per_second: float
    tokens_per_cpu_second: float
    read_share: float
    peak_memory_bytes: int
    losses: tuple[float, ...]


@dataclass
class _Clock:
    """When each step ended, and what each batch held."""

    moments: list[float] = field(default_factory=list[float])
    cpu_moments: list[float] = field(default_factory=list[float])
    tokens: list[int] = field(default_factory=list[int])
    places: list[int] = field(default_factory=list[int])
    losses: list[float] = field(default_factory=list[float])

    def tick(self, *_: Any) -> None:
        """A step ended."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.moments.append(time.perf_counter())
        self.cpu_moments.append(time.process_time())

    def batch(self, lengths: Sequence[int]) -> None:
        """A batch of rows of these lengths was made."""
        self.tokens.append(sum(lengths))

    def read(self, model: Any, _: Any, inputs: dict[str, Any]) -> None:
        """The model reads; while it is not training, it is only tried."""
        if model.training:
            self.places.append(inputs["input_ids"].numel())


def run(heat: Heat, folder: Path) -> Lap:
    """Train once and say how fast it was."""
    version = read_version(heat.base)
    tokenizer = weights.read_tokenizer(version.weights)
    rows = _rows(heat, tokenizer)
    batches = plan_batches([len(row["input_ids"]) for row in rows], heat.batch_size, 1, heat.seed)
    model = weights.trainable(version, rank=_RANK, alpha=_ALPHA, full_weights=False, seed=heat.seed)
    clock = _Clock()
    model.register_forward_pre_hook(clock.read, with_kwargs=True)
    CONTENDERS[heat.contender](heat, model.to(weights.best_device()), tokenizer, rows, batches, folder, clock)  # pyright: ignore
    steps = len(clock.moments)
    timed_tokens = sum(clock.tokens[1:steps])
    lap = Lap(
        contender=heat.contender,
        tokens_per_second=timed_tokens / (clock.moments[-1] - clock.moments[0]),
        tokens_per_cpu_second=timed_tokens / (clock.cpu_moments[-1] - clock.cpu_moments[0]),
        read_share=sum(clock.places[:steps]) / sum(clock.tokens[:steps]),
        peak_memory_bytes=_peak_bytes(),
        losses=tuple(clock.losses),
    )
    write_atomic(folder / "lap.json", lap.model_dump_json(indent=2))
    return lap


def _rows(heat: Heat, tokenizer: Any) -> list[Row]:
    """Rows of real tasks, the same for every contender."""
    setup = Setup(stage=heat.stage, stream="short", items=heat.rows, test_items=1, seed=heat.seed)
    make = stage_info(heat.stage).rows
    records = [
        record for group in zip(*(task(name, setup).records for name in _TASKS), strict=False) for record in group
    ]
    rows = [row for record in records for row in make(record, tokenizer, _MAX_LENGTH_TOKENS)]
    if len(rows) < heat.rows:
        raise ValueError(f"{heat.rows} rows are asked for and the tasks have {len(rows)}; ask for fewer")
    return rows[: heat.rows]


def _cld(
    heat: Heat, model: Any, tokenizer: Any, rows: list[Row], batches: list[Batch], folder: Path, clock: _Clock
) -> None:
    given = {
        "learning_rate": heat.learning_rate, "batch_size": heat.batch_size, "checkpoint_steps": _NEVER_STEPS,
        "precision": "float32" if heat.contender == "cld_float32" else native_dtype(),
    }  # fmt: skip
    recipe = Recipe(schedule=lambda _: lambda _: 1.0, after_step=(clock.tick,))
    settings = settings_for("finetune", heat.stage, given)
    work = Work(rows, "rows", (), batches, recipe=recipe, settings=settings, seed=heat.seed)
    (folder / "work").mkdir(exist_ok=True)
    outcome = execute(work, model, tokenizer, Job(folder, JobRequest(job_id="lap", kind="train", spec={})))
    for batch in batches:
        clock.batch([len(rows[index]["input_ids"]) for index in batch.new])
    clock.losses += outcome.losses


def _trl(
    heat: Heat, model: Any, tokenizer: Any, rows: list[Row], batches: list[Batch], folder: Path, clock: _Clock
) -> None:
    native = {"bf16": native_dtype() == "bfloat16"}
    _plain(heat, model, tokenizer, rows, len(batches), folder, clock, native)


def _trl_matched(
    heat: Heat, model: Any, tokenizer: Any, rows: list[Row], batches: list[Batch], folder: Path, clock: _Clock
) -> None:
    ordered = [rows[index] for batch in batches for index in batch.new]
    matched = {"bf16": False, "gradient_checkpointing": False, "train_sampling_strategy": "sequential"}
    _plain(heat, model, tokenizer, ordered, len(batches), folder, clock, matched)


def _trl_liger(
    heat: Heat, model: Any, tokenizer: Any, rows: list[Row], batches: list[Batch], folder: Path, clock: _Clock
) -> None:
    fast = {"use_liger_kernel": True, "gradient_checkpointing": False}
    _plain(heat, model, tokenizer, rows, len(batches), folder, clock, fast)


def _plain(
    heat: Heat, model: Any, tokenizer: Any, rows: Sequence[Row], steps: int, folder: Path, clock: _Clock,
    more: dict[str, Any],
) -> None:  # fmt: skip
    arguments = SFTConfig(
        output_dir=str(folder / "work"), max_steps=steps, per_device_train_batch_size=heat.batch_size,
        learning_rate=heat.learning_rate, lr_scheduler_type="constant", seed=heat.seed, save_strategy="no",
        report_to=[], disable_tqdm=True, remove_unused_columns=False, use_cpu=not torch.cuda.is_available(),
        dataset_kwargs={"skip_prepare_dataset": True}, **more,
    )  # fmt: skip
    trainer = _Plain(
        model=model, args=arguments, train_dataset=datasets.Dataset.from_list([dict(row) for row in rows]),
        processing_class=tokenizer, data_collator=_Collator(tokenizer, clock), callbacks=[_Ticking(clock)],
    )  # fmt: skip
    trainer.clock = clock
    trainer.train()


class _Plain(SFTTrainer):
    """trl's own, which writes down each loss."""

    clock: _Clock

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The loss, as trl computes it."""
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        self.clock.losses.append(float(loss.detach()))
        return loss


class _Collator:
    """trl's collator, which counts what it collates."""

    def __init__(self, tokenizer: Any, clock: _Clock) -> None:
        self._collate = DataCollatorForLanguageModeling(pad_token_id=int(tokenizer.pad_token_id))
        self._clock = clock

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        self._clock.batch([len(row["input_ids"]) for row in rows])
        return self._collate(rows)


class _Ticking(TrainerCallback):
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        """At the moment at which cld's own steps are timed."""
        self._clock.tick()


def _peak_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


CONTENDERS: dict[Contender, Callable[..., None]] = {
    "cld": _cld,
    "trl": _trl,
    "cld_float32": _cld,
    "trl_matched": _trl_matched,
    "trl_liger": _trl_liger,
}
"""In the order of the first round; later rounds begin with another."""


def able() -> list[Contender]:
    """Those that can run on this machine."""
    fused = torch.cuda.is_available() and is_liger_kernel_available()
    return [name for name in CONTENDERS if fused or name != "trl_liger"]


if __name__ == "__main__":
    run(Heat.model_validate_json((Path(sys.argv[1]) / "heat.json").read_bytes()), Path(sys.argv[1]))
