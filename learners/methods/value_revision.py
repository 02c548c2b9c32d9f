"""Value revision: norms are added, revised and retired on purpose, and only those may change.

A preference says what it does to a norm: its content has `norm`, the name of one, and `change`.

    add      the norm, or more of it, is learned; also what a preference without the two means
    revise   the preference is learned, and takes the place of what is remembered of the norm
    retire   the preference was the norm's; the margin between its answers goes back to what it was before

Loss: that of direct preference optimisation (equation 7 of Rafailov et al. 2023, arXiv:2305.18290) on the new pairs
and on the remembered ones that still hold, each against the version that was there before it was learned; (beta *
shift)^2 on retired ones; + replay_weight * likelihood of what else is remembered. What is superseded or retired is
rehearsed no more, by this method or a later one. That norms change on purpose, and that alignment must follow, is the
case of Puthumanaillam et al. 2024, A Moral Imperative: The Need for Continual Superalignment of Large Language Models
(arXiv:2403.14683), which gives no algorithm; this one is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import norms, pairs
from learners.records import Record

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Value revision.

    Attributes:
        beta: strength of the pull towards the reference.
        pair_share: part of a batch's pairs that are remembered ones.
        replay_share: part of each batch that is rehearsed of what is remembered beside preferences.
        replay_weight: weight of the mean negative log-likelihood of its tokens.
        superseded: norm -> the norms whose place it took, whose remembered preferences are dropped once it is learned.
    """

    beta: float = Field(default=0.1, gt=0)
    pair_share: float = Field(default=0.5, ge=0, lt=1)
    replay_share: float = Field(default=0.33, ge=0, lt=1)
    replay_weight: float = Field(default=1.0, ge=0)
    superseded: dict[str, tuple[str, ...]] = Field(default={})


def prepare(sources: Sources) -> Material:
    """The new pairs, then the remembered ones that still hold, each with its reference.

    Raises:
        InvalidInput: see `learners.parts.norms.changes`.
    """
    material = sources.material()
    changes = norms.changes(material.records)
    retired = {record.id for record in material.records if changes[record.id] == "retire"}
    older = {old for one in material.records for old in sources.settings.superseded.get(one.content.get("norm"), ())}
    gone = norms.superseded(sources.memory, [one for one in material.records if changes[one.id] != "add"], older)
    gone = (gone - changes.keys()) | retired
    before = _before(sources, [record for record in material.records if record.id in retired])
    learned = pairs.referred(sources, material.records, before)
    held = pairs.remembered(sources, gone | changes.keys())
    old = pairs.referred(sources, held, pairs.read(sources.memory_folder))
    pairs.keep(sources, [one for one in learned if one.record.id not in retired], old)
    marks = [{"retired": one.record.id in retired} if retired else {} for one in [*learned, *old]]
    rows: list[Any] = [{**one.pair(), **mark} for one, mark in zip([*learned, *old], marks, strict=True)]
    return replace(material, rows=rows, remembered=pairs.other_rows(sources, gone), forgotten=frozenset(gone))


def _before(sources: Sources, retired: Sequence[Record]) -> dict[str, pairs.Reference]:
    """References of retired pairs: what was stored of the remembered pair with the same answers, else no preference."""
    stored = pairs.read(sources.memory_folder)
    same = {norms.answers(record): stored[record.id] for record in pairs.remembered(sources, ()) if record.id in stored}
    unknown = pairs.Reference(id="", chosen_nats=0.0, rejected_nats=0.0)
    return {one.id: same.get(norms.answers(one), unknown) for one in retired}


def compose(run: Run) -> Recipe:
    """Plain DPO by trl; with a retired norm, the loss that has both."""
    beta: float = run.settings.beta
    state: dict[str, torch.Tensor] = {}
    retires = any(map(norms.retires, run.records))
    recipe = pairs.recipe(run, Retiring(state, beta) if retires else None, state)
    return replace(recipe, trainer={"beta": beta, "loss_type": ["sigmoid"]})


class Retiring:
    """DPO of the pairs that hold, and (beta * shift)^2 of the retired ones, whose margin so goes back to the reference.

    Args:
        state: gets the mean margin over the references.
        beta: as of DPO.
    """

    def __init__(self, state: dict[str, torch.Tensor], beta: float) -> None:
        self._state, self._beta = state, beta

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of a batch of referred pairs with the mark `retired`."""
        import torch
        from torch.nn.functional import logsigmoid

        shift = self._beta * pairs.shifts_nats(self._state, step.new, *pairs.answer_nats(model, step.new))
        return torch.where(step.new["retired"], shift.square(), -logsigmoid(shift)).mean()
