"""Recyclable tuning: what was learned on an old base is carried over to a new one.

Qin et al. 2023, Recyclable Tuning for Continual Pre-training (arXiv:2305.08702). The parent is the new base; the donor
is a version tuned on the old one. `initialise` starts from the donor's adapter on the new base or, with full weights,
from new + (donor - old); `distil_weight` learns from the donor's answers, (1 - alpha) * L + alpha * T^2 * KL(donor ||
student), and both together do best in the paper. With neither it is plain fine-tuning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources, Step
from learners.parts.distill import of_predictions
from learners.parts.likelihood import negative_log_likelihood, predicted
from learners.parts.packing import allow
from learners.versions import Version, read_version

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]


class Settings(contract.Settings):
    """Recyclable tuning.

    Attributes:
        donor: id of the version that was tuned on the old base; it lies beside the parent.
        initialise: start from what the donor learned: its adapter instead of an empty one or, with `full_weights`, its
            change of every weight since its own parent.
        distil_weight: alpha, the share of the loss that the donor's answers have; 0 leaves them out.
        temperature: T of the distillation.
    """

    donor: str = Field(default="", pattern=r"^[a-z0-9-]{0,64}$")
    initialise: bool = True
    distil_weight: float = Field(default=0.7, ge=0, le=1)
    temperature: float = Field(default=5.0, gt=0)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The new base under the donor's adapter or, with `full_weights`, changed as the donor was; it goes on learning.

    Raises:
        InvalidInput: no donor is named, it does not fit the parent, its adapter would stand over another one, or a
            donor of full weights is to become an adapter.
    """
    from learners import weights

    settings: Settings = sources.settings
    parent = sources.parent
    if settings.initialise and settings.epochs:
        carried = _changed if settings.full_weights else _under_its_adapter
        return carried(parent, _donor(parent, settings))
    return weights.trainable_as_told(parent, settings, seed=sources.seed)


def _under_its_adapter(parent: Version, donor: Version) -> PreTrainedModel:
    from peft import PeftModel

    from learners import weights

    if donor.adapter is None:
        raise InvalidInput(
            f"the donor {donor.spec.id!r} has full weights, and what they learned is no adapter; set full_weights=true "
            "to carry their change over, or initialise=false"
        )
    if parent.spec.base is not None:
        raise InvalidInput(
            f"the parent {parent.spec.id!r} is an adapter over {parent.spec.base!r}; recycle carries an adapter over "
            "to a new base, so start from a version with full weights"
        )
    model = weights.frozen(parent, merge=True)
    try:
        return PeftModel.from_pretrained(model, str(donor.adapter), is_trainable=True, local_files_only=True)  # pyright: ignore
    except (RuntimeError, ValueError) as error:
        raise InvalidInput(
            f"the adapter of {donor.spec.id!r} does not fit the weights of {parent.spec.id!r}: {error}"
        ) from error


def _changed(parent: Version, donor: Version) -> PreTrainedModel:
    """Every weight of the parent, changed as tuning changed it on the old base: theta_new + theta_donor - theta_old.

    Rows of tokens that the old base did not have stay as they are.
    """
    import torch

    from learners import weights

    model = weights.frozen(parent, merge=True).requires_grad_(True)
    old = read_version(parent.folder.parent / _tuned_from(donor))
    before, after = (dict(weights.frozen(one, merge=True).named_parameters()) for one in (old, donor))
    rows = {id(part.weight) for part in (model.get_input_embeddings(), model.get_output_embeddings()) if part}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not _fits(weight, before.get(name), after.get(name), grown=id(weight) in rows):
                raise InvalidInput(
                    f"weight {name!r} of {parent.spec.id!r} has shape {tuple(weight.shape)}; no such weight is both "
                    f"in {donor.spec.id!r} and in {old.spec.id!r}, which it was tuned from: they are models of another "
                    "make; set initialise=false to learn from the donor's answers alone"
                )
            weight[: len(before[name])].add_(after[name] - before[name])
    return model


def _fits(weight: torch.Tensor, before: torch.Tensor | None, after: torch.Tensor | None, *, grown: bool) -> bool:
    """Whether a weight can take the change; one of `grown` may have more rows than both."""
    if before is None or after is None or before.shape != after.shape:
        return False
    same = weight.shape == before.shape
    return same or (grown and weight.shape[1:] == before.shape[1:] and len(weight) > len(before))


def _tuned_from(donor: Version) -> str:
    if donor.spec.parent is None:
        raise InvalidInput(
            f"the donor {donor.spec.id!r} was imported, so what it was tuned from, and its change, are not known; set "
            "initialise=false, or name a version that was trained here"
        )
    return donor.spec.parent


def _donor(parent: Version, settings: Settings) -> Version:
    if not settings.donor:
        raise InvalidInput("recycle needs a donor, the version that was tuned on the old base; set donor='v…'")
    return read_version(parent.folder.parent / settings.donor)


def compose(run: Run) -> Recipe:
    """The donor, frozen on its own base, teaches."""
    from learners import weights

    settings: Settings = run.settings
    if not settings.distil_weight or not settings.epochs:
        return Recipe()
    donor = weights.load(_donor(run.parent, settings).folder, verify=False).model.requires_grad_(False)  # pyright: ignore
    if settings.packing:
        allow(donor)

    def near(model: PreTrainedModel, step: Step) -> torch.Tensor:
        taught, learned = predicted(donor, step.new), predicted(model, step.new)
        return of_predictions(taught, learned, settings.temperature) * settings.distil_weight

    def likelihood(model: PreTrainedModel, step: Step) -> torch.Tensor:
        return negative_log_likelihood(model, step.new) * (1 - settings.distil_weight)

    return Recipe(stage_loss=likelihood, losses=(near,))
