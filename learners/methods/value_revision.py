"""Value revision: norms are added, revised and retired on purpose, and only those may change.

A preference says what it does to a norm: its content has `norm`, the name of one, and `change`.

    add      the norm, or more of it, is learned; also what a preference without the two means
    revise   the preference is learned, and takes the place of what is remembered of the norm
    retire   the preference was the norm's; the margin between its answers goes back to what it was before

Loss: that of direct preference optimisation (equation 7 of Rafailov et al. 2023, arXiv:2305.18290) on the new pairs
and on the remembered ones that still hold, each against the version that was there before it was learned, +
chosen_weight * likelihood of their preferred answers (Pang et al. 2024, Iterative Reasoning Preference Optimization,
arXiv:2404.19733, equation 1; a mean over tokens here, over answers there); (beta * shift)^2 on retired pairs; +
replay_weight * likelihood of what else is remembered. Without the likelihood a model learns what not to say: it avoids
the rejected words, and follows another norm that avoids them as much as this one. What is superseded or retired is
rehearsed no more, by this method or a later one.

That norms change on purpose, and that alignment must follow, is the case of Puthumanaillam et al. 2024, A Moral
Imperative: The Need for Continual Superalignment of Large Language Models (arXiv:2403.14683), which gives no
algorithm; this one is ours.
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
        chosen_weight: weight of the mean negative log-likelihood of the preferred answers' tokens; 0 is plain DPO.
        pair_share: part of a batch's pairs that are remembered ones.
        replay_share: part of each batch that is rehearsed of what is remembered beside preferences.
        replay_weight: weight of the mean negative log-likelihood of its tokens.
        superseded: norm -> the norms whose place it took, whose remembered preferences are dropped once it is learned.
    """

    beta: float = Field(default=0.1, gt=0)
    chosen_weight: float = Field(default=1.0, ge=0)
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
    rows: list[Any] = [{**one.pair(), "retired": one.record.id in retired} for one in [*learned, *old]]
    return replace(material, rows=rows, remembered=pairs.other_rows(sources, gone), forgotten=frozenset(gone))


def _before(sources: Sources, retired: Sequence[Record]) -> dict[str, pairs.Reference]:
    """References of retired pairs: what was stored of the remembered pair with the same answers, else no preference."""
    stored = pairs.read(sources.memory_folder)
    same = {norms.answers(record): stored[record.id] for record in pairs.remembered(sources, ()) if record.id in stored}
    unknown = pairs.Reference(id="", chosen_nats=0.0, rejected_nats=0.0)
    return {one.id: same.get(norms.answers(one), unknown) for one in retired}


def compose(run: Run) -> Recipe:
    """New pairs and those that still hold beside each other, under one loss."""
    settings: Settings = run.settings
    state: dict[str, torch.Tensor] = {}
    return pairs.recipe(run, Revising(state, beta=settings.beta, chosen_weight=settings.chosen_weight), state)


class Revising:
    """DPO and likelihood of the pairs that hold; (beta * shift)^2 of retired ones, whose margin goes back.

    Not trl's loss, which knows no retired pairs.

    Args:
        state: gets the mean margin over the references.
        beta: as of DPO.
        chosen_weight: of the likelihood of the preferred answers that hold.
    """

    def __init__(self, state: dict[str, torch.Tensor], *, beta: float, chosen_weight: float) -> None:
        self._state, self._beta, self._chosen_weight = state, beta, chosen_weight

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of a batch of referred pairs with the mark `retired`."""
        import torch
        from torch.nn.functional import logsigmoid

        chosen, rejected = pairs.answer_nats(model, step.new)
        shift = self._beta * pairs.shifts_nats(self._state, step.new, chosen, rejected)
        held = ~step.new["retired"]
        preference = torch.where(held, -logsigmoid(shift), shift.square()).mean()
        tokens = step.new["completion_mask"][: len(held)].sum(dim=1)
        return preference - self._chosen_weight * chosen[held].sum() / tokens[held].sum().clamp(min=1)
