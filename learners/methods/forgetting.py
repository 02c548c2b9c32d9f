"""What the methods of stage `forget` share: settings, what is kept, and the recipe around each one's own loss.

No method itself. A step has rows that are forgotten (`Step.new`), whose likelihood each method lowers in its own way up
to the ceilings of `learners.parts.unlearning`, and rows that are kept (`Step.rehearsal`): what the parent's replay
memory holds besides, and the records that the job names (`Sources.retained`). The frozen start, the reference of all of
them, is the parent version.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Self

from pydantic import Field, model_validator

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import LossTerm, Material, Recipe, Run, Sources
from learners.parts import erase, snapshots, unlearning
from learners.parts.mix import Batch, Order, Replay, plan_batches
from learners.parts.penalties import RehearsalLikelihood
from learners.parts.rows import Row
from learners.parts.unlearning import Ceilings
from learners.parts.views import rehearsal_rows
from learners.records import Record
from learners.versions import Version, read_version

__all__ = ["Settings", "batches", "ceilings", "prepare", "recipe", "reference_nats", "rows_of"]

_log = logging.getLogger(__name__)


class Settings(contract.Settings):
    """What every method of forgetting can be told.

    Attributes:
        strength: weight of the loss that forgets; 0 is plain training on what is kept.
        cap_nats: a token that is this unlikely counts as forgotten.
        calibrate: count a token as forgotten already where it is as unlikely as if it had never been trained, see
            `learners.parts.unlearning`. What the lineage's first version knew before it was trained here then stays;
            without, that is forgotten as well, and less likely than chance at the end.
        replay_share: part of each batch that is kept material, as if the batch were full.
        replay_weight: weight of the mean negative log-likelihood of its tokens. The papers take 1, which loses what is
            next to the forgotten; as forgetting ends at a ceiling, more of it only takes longer.
    """

    strength: float = Field(default=1.0, ge=0)
    cap_nats: float = Field(default=5.0, gt=0)
    calibrate: bool = True
    replay_share: float = Field(default=0.75, ge=0, lt=1)
    replay_weight: float = Field(default=4.0, ge=0)

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if not self.strength and not self.replay_share:
            raise ValueError("strength = 0 and replay_share = 0 leave nothing to train on; set one of them")
        return self


def prepare(sources: Sources) -> Material:
    """The rows to forget, and those to keep; what methods remember of the forgotten records is erased.

    Raises:
        InvalidInput: a record cannot be forgotten at this length, or nothing is known that must be kept.
    """
    material = sources.material()
    _refuse_partly(sources, material.records)
    ids = {record.id for record in material.records}
    gone = {unlearning.key_of(row) for row in rows_of(sources, material.records)}
    again = {item.record.id for item in sources.memory.items if _same(sources, item.record, gone)}
    erase.records(sources.memory_folder, ids, {snapshots.key_of(record) for record in material.records})
    erase.weights(sources.memory_folder)
    kept = _kept(sources, ids | again, gone)
    return replace(material, remembered=kept, forgotten=frozenset(ids | again))


def rows_of(told: Sources | Run, records: Sequence[Record]) -> list[Row]:
    """The rows of records to forget."""
    limit = told.settings.max_length_tokens
    return [row for record in records for row in unlearning.forgotten_rows(record, told.tokenizer, limit)]


def _same(sources: Sources, record: Record, gone: set[unlearning.Key]) -> bool:
    """Whether a record is the same tokens under another id, such as a conversation that is a preference too."""
    own = rows_of(sources, [record])
    return bool(own) and all(unlearning.key_of(row) in gone for row in own)


def _refuse_partly(sources: Sources, able: Sequence[Record]) -> None:
    """A record that stays, or of which a part does, must not look forgotten."""
    limit = sources.settings.max_length_tokens
    whole = [one for one in able if one.kind == "text" or len(rows_of(sources, [one])[0]["input_ids"]) < limit]
    if missing := len(sources.records) - len(whole):
        raise InvalidInput(
            f"{missing} of {len(sources.records)} records cannot be forgotten whole: prompt and answer are longer than "
            f"max_length_tokens = {limit}; raise it"
        )


def _kept(sources: Sources, ids: set[str], gone: set[unlearning.Key]) -> list[Row]:
    """Rows of what must be kept.

    Raises:
        InvalidInput: there are none, and the settings ask for some.
    """
    limit = sources.settings.max_length_tokens
    told = [(one, True) for one in sources.retained if one.id not in ids]
    remembered = [(item.record, item.complete) for item in sources.memory.items if item.record.id not in ids]
    found = [
        row
        for record, complete in (*remembered, *told)
        for row in rehearsal_rows(record, sources.tokenizer, limit, complete=complete)
        if unlearning.key_of(row) not in gone
    ]
    if not found and sources.settings.replay_share:
        raise InvalidInput(
            "nothing is known that must be kept: the parent's replay memory holds nothing else and the job names no "
            "records to retain, and forgetting alone ruins a model; name some, or set replay_share = 0"
        )
    return found


def batches(order: Order, share: float) -> list[Batch]:
    """Batches of what is forgotten, and beside each as much of what is kept as if it were full.

    Few records are forgotten, as a rule, and what they share with others is not kept by as few.
    """
    planned = plan_batches(order.lengths, order.batch_size, order.epochs, order.seed)
    full = [1] * (order.batch_size * len(planned))
    beside = plan_batches(full, order.batch_size, 1, order.seed, Replay(len(order.remembered), share))
    return [Batch(own.new, other.replayed) for own, other in zip(planned, beside, strict=True)]


def recipe(run: Run, loss: LossTerm, *more: LossTerm, kept: LossTerm | None = None) -> Recipe:
    """Forget by a loss, keep by the likelihood of what is kept.

    Args:
        loss: of the rows that are forgotten, times the strength already.
        more: other terms.
        kept: in place of that likelihood.
    """
    settings: Settings = run.settings
    own = kept or RehearsalLikelihood(settings.replay_weight)
    return Recipe(
        plan=partial(batches, share=settings.replay_share),
        stage_loss=loss if settings.strength else own,
        whole=True,
        losses=(own, *more) if settings.strength else more,
    )


def ceilings(run: Run) -> Ceilings:
    """How unlikely the run's records may become."""
    settings: Settings = run.settings
    if not settings.calibrate or not settings.epochs:
        return Ceilings(settings.cap_nats)
    rows = rows_of(run, run.records)
    return Ceilings.calibrated(settings.cap_nats, rows, _never_trained(run, rows), run.tokenizer, run.seed)


def reference_nats(run: Run) -> dict[unlearning.Key, float]:
    """Negative log-likelihood of each row under the parent, which the model still is, in nats."""
    found = unlearning.token_nats(run.model, rows_of(run, run.records), run.settings.batch_size)
    return {key: sum(nats) for key, nats in found.items()}


def _never_trained(run: Run, rows: Sequence[Row]) -> dict[unlearning.Key, list[float]]:
    """What the first version of the lineage makes of the rows; of none where it is this one or is not there."""
    from learners import weights

    root = _root(run.parent)
    if root is None:
        return {}
    first = weights.load(root.folder, verify=False)
    known = [row for row in rows if max(row["input_ids"]) < len(first.tokenizer)]
    return unlearning.token_nats(first.model, known, run.settings.batch_size)


def _root(version: Version) -> Version | None:
    found = version
    while above := found.spec.base or found.spec.parent:
        folder = found.folder.parent / above
        if not folder.is_dir():
            _log.warning("version %r is not there, so never-trained likelihoods are unknown", above)
            return None
        found = read_version(folder, verify=False)
    return None if found is version else found
