"""Preferences as pairs beside what the policy thought of them before it learned them: the references.

Owns `memory/references.jsonl`, the log-probability of both answers of each remembered preference under the version that
learned it next, and how such pairs become rows and batches together with new ones. So a preference is rehearsed against
the reference that it was learned with, however many versions ago. Used by the methods that rehearse pairs; those that
rehearse the chosen answer alone need none of it.

Log-probabilities are sums over an answer's tokens, in nats, under the softmax of temperature 1, computed in float32.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from learners.parts import tasks
from learners.parts.likelihood import by_length, nats
from learners.parts.mix import Batch, Order, Replay, plan_batches
from learners.parts.penalties import RehearsalLikelihood
from learners.parts.rows import IGNORED, PairRow, Row
from learners.parts.views import pair_rows, rehearsal_rows
from learners.records import Record

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import LossTerm, Recipe, Run, Sources

__all__ = [
    "Reference", "Referred", "ReferredPair", "answer_nats", "beside", "keep", "other_rows", "read", "recipe",
    "referred", "remembered", "shifts_nats", "write",
]  # fmt: skip

_FILE = "references.jsonl"


class ReferredPair(PairRow):
    """A pair and the log-probabilities of its answers under the reference policy, by the names that trl gives them."""

    ref_chosen_logps: float
    ref_rejected_logps: float


class Reference(BaseModel):
    """What the version before made of a preference.

    Attributes:
        id: of the record.
        chosen_nats, rejected_nats: log-probability of both answers.
        shift_nats: how far the margin between them was asked to grow; None where as far as it would.
        per_token: whether that is a margin of means over the tokens of each answer, instead of sums.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    chosen_nats: float
    rejected_nats: float
    shift_nats: float | None = None
    per_token: bool = False

    @property
    def margin_nats(self) -> float:
        """How much likelier the chosen answer was."""
        return self.chosen_nats - self.rejected_nats


class Referred(NamedTuple):
    """A preference with its row and its reference."""

    record: Record
    row: PairRow
    reference: Reference

    def told(self, more: Mapping[str, Any]) -> Referred:
        """The same with more said in its reference."""
        return self._replace(reference=self.reference.model_copy(update=more))

    def pair(self) -> ReferredPair:
        """The row as it is trained on."""
        own = self.reference
        return {**self.row, "ref_chosen_logps": own.chosen_nats, "ref_rejected_logps": own.rejected_nats}


def read(folder: Path) -> dict[str, Reference]:
    """Record id -> reference, of a `memory/` folder; empty where it has none."""
    path = folder / _FILE
    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as lines:
        return {one.id: one for one in map(Reference.model_validate_json, lines)}


def write(folder: Path, references: Iterable[Reference]) -> None:
    """Write references into a `memory/` folder that is being built, in place of those it has."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(one.model_dump_json() + "\n" for one in sorted(references, key=lambda one: one.id))
    (folder / _FILE).write_text(lines, encoding="utf-8")


def keep(sources: Sources, learned: Sequence[Referred], rehearsed: Sequence[Referred]) -> None:
    """Write the references of what is learned and of what is remembered, of which those stored before stay.

    Called by `prepare`, while the weights still are the parent's.
    """
    stored = read(sources.memory_folder)
    ids = {item.record.id for item in sources.memory.items}
    found = {one.record.id: one.reference for one in rehearsed} | {name: stored[name] for name in stored if name in ids}
    write(sources.memory_folder, (found | {one.record.id: one.reference for one in learned}).values())


def remembered(sources: Sources, leave_out: Container[str]) -> list[Record]:
    """The preferences in the replay memory, but for the records with the given ids."""
    items = [item.record for item in sources.memory.items]
    return [record for record in items if record.kind == "preference" and record.id not in leave_out]


def other_rows(sources: Sources, leave_out: Container[str] = ()) -> list[Row]:
    """Rows of what is remembered beside preferences, whose likelihood can be rehearsed, but for some records."""
    limit = sources.settings.max_length_tokens
    return [
        row
        for item in sources.memory.items
        if item.record.kind != "preference" and item.record.id not in leave_out
        for row in rehearsal_rows(item.record, sources.tokenizer, limit, complete=item.complete)
    ]


def referred(sources: Sources, records: Sequence[Record], stored: Mapping[str, Reference]) -> list[Referred]:
    """Preferences with their references: the stored ones, else what the parent makes of them.

    Args:
        stored: by record id. Empty for what is learned now, whose reference is the parent.
    """
    limit = sources.settings.max_length_tokens
    rows = [(record, row) for record in records for row in pair_rows(record, sources.tokenizer, limit)]
    unknown = [(record.id, row) for record, row in rows if record.id not in stored]
    scores = _scored(sources, [row for _, row in unknown])
    found = dict(stored)
    for (name, _), (chosen, rejected) in zip(unknown, scores, strict=True):
        found[name] = Reference(id=name, chosen_nats=chosen, rejected_nats=rejected)
    return [Referred(record, row, found[record.id]) for record, row in rows]


def _scored(sources: Sources, rows: Sequence[PairRow]) -> list[tuple[float, float]]:
    """Log-probability of both answers under the parent, in nats."""
    if not rows:
        return []
    import torch
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    model = sources.model()
    collate = DataCollatorForPreference(pad_token_id=int(sources.tokenizer.pad_token_id))  # pyright: ignore
    found: list[tuple[float, float]] = []
    with torch.no_grad():
        for start in range(0, len(rows), sources.settings.batch_size):
            some = [dict(row) for row in rows[start : start + sources.settings.batch_size]]
            batch = {name: value.to(model.device) for name, value in collate(some).items()}
            chosen, rejected = answer_nats(model, batch)
            found += zip(chosen.tolist(), rejected.tolist(), strict=True)
    return found


def answer_nats(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of the chosen and of the rejected answers, in nats, each of as many as there are pairs.

    Args:
        batch: input_ids, attention_mask and completion_mask (each 2 pairs x tokens), the chosen answers first.
    """
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, IGNORED)
    rows = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "labels": labels}
    chosen, rejected = by_length(lambda some: -nats(model, some).sum(dim=1), rows).chunk(2)
    return chosen, rejected


def shifts_nats(
    state: dict[str, torch.Tensor], batch: Mapping[str, torch.Tensor], chosen: torch.Tensor, rejected: torch.Tensor
) -> torch.Tensor:
    """How far each margin has grown over its reference, in nats; the mean goes into the state and the progress.

    Args:
        state: of the method's recipe.
        batch: of `ReferredPair`.
        chosen, rejected: log-probability of its answers now.
    """
    shifts = (chosen - batch["ref_chosen_logps"]) - (rejected - batch["ref_rejected_logps"])
    state["margin_nats"] = shifts.detach().mean().float().cpu()
    return shifts


def beside(order: Order, *, new: int, share: float, replay_share: float) -> list[Batch]:
    """Batches of new pairs with past ones beside them, and with rehearsed rows.

    Args:
        order: of the new pairs, followed by the past ones.
        new: number of the new ones.
        share: part of a batch's pairs that are past ones; they come on top of the new ones.
        replay_share: part of a batch that is rehearsed, likewise.
    """
    fixed = (order.lengths[:new], order.batch_size, order.epochs, order.seed)
    paired = plan_batches(*fixed, Replay(len(order.lengths) - new, share))
    rows = plan_batches(*fixed, Replay(len(order.remembered), replay_share))
    return [
        Batch((*pair.new, *(new + index for index in pair.replayed)), row.replayed)
        for pair, row in zip(paired, rows, strict=True)
    ]


def recipe(run: Run, loss: LossTerm, state: dict[str, torch.Tensor]) -> Recipe:
    """New pairs with past ones beside them, rows of other kinds rehearsed; the new ones become a task of their own.

    Args:
        run: whose settings have pair_share, replay_share and replay_weight.
        loss: of a batch of pairs.
        state: that the loss writes.
    """
    from learners.methods.contract import Recipe

    settings = run.settings
    share = settings.replay_share if settings.replay_weight else 0.0
    return Recipe(
        plan=partial(beside, new=len(run.records), share=settings.pair_share, replay_share=share),
        stage_loss=loss,
        whole=True,
        losses=(RehearsalLikelihood(settings.replay_weight),) if settings.replay_weight else (),
        state=state,
        after_training=(partial(tasks.write, run),),
    )
