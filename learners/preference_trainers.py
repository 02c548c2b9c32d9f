"""Training on judged answers: pairs of which one is better (trl's DPO), and single answers, wanted or not (trl's KTO).

Owns how such rows become batches. Both compare with the parent version: its log-probabilities are computed once, before
the first step, while the weights still are the parent's; a resumed run computes them again before its checkpoint is
read. Pairs may bring references of their own (`learners.parts.pairs`). Several processes have the whole batch each and
read it together (`learners.together`). Called by `learners.trainer`; the step itself is that of
`learners.loop.Extended`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference, KTOTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from learners.answers import Answering
from learners.failures import InvalidInput
from learners.loop import Extended, Outcome, StepCallback, Work, padding_token, table
from learners.together import Together

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from learners.worker import Job

__all__ = ["LabelTrainer", "PairTrainer", "mismatched"]

_COLLAPSE_NATS = 20.0

_log = logging.getLogger(__name__)


class _Judged(Extended):
    """What both share: rows that are tokens already, a collator for them, and no reference model once it was asked."""

    _judged: Any
    _references: tuple[str, str]  # trl's names of their columns
    _margin_nats = 0.0
    train_dataset: Any

    def _begin(self, work: Work, tokenizer: PreTrainedTokenizerBase, job: Job) -> None:
        self.work, self.job, self.outcome = work, job, Outcome()
        self._rows = DataCollatorForLanguageModeling(pad_token_id=padding_token(tokenizer))

    def _forget_reference(self, model: PreTrainedModel) -> None:
        self.remove_callback(PrinterCallback)  # pyright: ignore
        if "ref" in getattr(model, "peft_config", {}):
            model.delete_adapter("ref")

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """The rows are tokens already."""
        return dataset

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """In place of trl's, whose file in a process's own temporary folder no other process finds.

        Rows may bring their references along, those of an earlier version among them.
        """
        if set(self._references) <= set(dataset.column_names):
            return dataset
        found: list[Any] = []
        for start in range(0, len(dataset), batch_size):
            some = [dataset[index] for index in range(start, min(start + batch_size, len(dataset)))]
            batch = self._prepare_inputs(self._judged(some))  # pyright: ignore
            found.append(self.compute_ref_log_probs(self._answering(self.model), batch))  # pyright: ignore
        for column, values in zip(self._references, zip(*found, strict=True), strict=True):
            dataset = dataset.add_column(column, torch.cat(values).tolist())
        return dataset

    def _stage_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """trl's, on a batch that several processes read together."""
        return super()._stage_loss(self._answering(model), inputs, *args, **kwargs)

    def _answering(self, model: Any) -> Any:
        """The model as trl calls it: with trl's own head where that is the faster one, or experts want a loss, too."""
        trls = torch.cuda.is_available() or self.aux_loss_enabled  # pyright: ignore
        return Together(model) if trls else Answering(model)

    def _new(self, new: Sequence[int], joined: Sequence[int]) -> dict[str, Any]:
        if joined:
            raise InvalidInput("rehearsed rows are no judged answers and cannot join their batch; rehearse by a term")
        return self._judged([self.train_dataset[index] for index in new])

    def metrics(self) -> dict[str, float]:
        """How far the wanted answers of the last batch are above the others, against the reference, in nats.

        Beside it every single number of the method's own state. A margin that keeps growing buys nothing: above twenty
        nats it is the sign of a policy that collapses, and `preference_collapse` is 1.
        """
        told: list[float] = self._metrics["train"].get("rewards/margins", [])[-1:]  # pyright: ignore
        found = {name: float(value) for name, value in self.work.recipe.state.items() if value.ndim == 0}
        if told:
            found["margin_nats"] = told[0] / self.beta  # pyright: ignore
        if "margin_nats" in found:
            self._margin_nats = found["margin_nats"]
            found["preference_collapse"] = float(self._margin_nats > _COLLAPSE_NATS)
        return found

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and warn of a margin that is too wide at the end."""
        told = super().train(*args, **kwargs)  # pyright: ignore
        if self._margin_nats > _COLLAPSE_NATS:
            _log.warning(
                "preference collapse: the wanted answers ended %.1f nats above the others against the reference, and "
                "above %.0f a wider margin costs fluency and buys nothing; lower epochs or learning_rate, raise beta, "
                "or train with method 'copr', which sets the margin",
                self._margin_nats, _COLLAPSE_NATS,
            )  # fmt: skip
        return told


class PairTrainer(_Judged, DPOTrainer):
    """Preferences, against the parent as reference policy."""

    _references = ("ref_chosen_logps", "ref_rejected_logps")

    def __init__(
        self, work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job,
        arguments: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._begin(work, tokenizer, job)
        self._judged = DataCollatorForPreference(pad_token_id=padding_token(tokenizer))
        super().__init__(
            model=model, args=DPOConfig(**arguments, precompute_ref_log_probs=True, max_length=None),
            train_dataset=table(work.rows), processing_class=tokenizer, callbacks=[StepCallback(self)],
        )  # fmt: skip
        self._forget_reference(model)

    def _new(self, new: Sequence[int], joined: Sequence[int]) -> dict[str, Any]:
        """trl's batch, and the numbers beside a pair that are the method's own."""
        batch, rows = super()._new(new, joined), self.train_dataset
        own = [name for name in rows.column_names if not name.endswith(("_ids", "_logps"))]
        return {**batch, **{name: torch.tensor([rows[index][name] for index in new]) for name in own}}


class LabelTrainer(_Judged, KTOTrainer):
    """Single answers with a verdict, against the parent as reference policy.

    The loss compares each answer with the divergence from the parent, which is estimated on answers to other prompts.
    trl takes them from the batch; here every row has one partner for the whole run, so that the parent's side of the
    estimate is computed once and batches may be in any order.
    """

    _references = ("ref_logps", "ref_KL_logps")

    def __init__(
        self, work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job,
        arguments: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._begin(work, tokenizer, job)
        self._judged = DataCollatorForUnpairedPreference(pad_token_id=padding_token(tokenizer))
        rows: list[Any] = list(work.rows)
        others = [rows[index]["completion_ids"] for index in mismatched([row["prompt_ids"] for row in rows])]
        judged = [{**row, "KL_completion_ids": other} for row, other in zip(rows, others, strict=True)]
        options: dict[str, Any] = {**arguments, "train_sampling_strategy": "sequential"}
        super().__init__(
            model=model, args=KTOConfig(**options, precompute_ref_log_probs=True, max_length=None),
            train_dataset=table(judged),
            processing_class=tokenizer, callbacks=[StepCallback(self)],
        )  # fmt: skip
        self._forget_reference(model)


def mismatched(prompts: Sequence[Sequence[int]]) -> list[int]:
    """For each row another one with a different prompt, each taken about equally often.

    Args:
        prompts: tokens of each row's prompt.

    Raises:
        InvalidInput: all rows have the same prompt, so no answer is foreign to any of them.
    """
    keys = [tuple(prompt) for prompt in prompts]
    counts = Counter(keys)
    if len(counts) < 2:
        raise InvalidInput(
            f"all {len(keys)} judged answers are to one prompt, and learning from them needs answers to another for "
            "comparison; select feedback or preferences about at least two prompts"
        )
    order = sorted(range(len(keys)), key=keys.__getitem__)
    places = {index: place for place, index in enumerate(order)}
    shift = max(counts.values())

    def partner(index: int) -> int:
        ring = (order[(places[index] + shift + step) % len(order)] for step in range(len(order)))
        return next(other for other in ring if keys[other] != keys[index])

    return [partner(index) for index in range(len(keys))]
