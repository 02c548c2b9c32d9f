"""Recyclable tuning: what was learned on an old base is carried over to a new one.

Qin et al. 2023, Recyclable Tuning for Continual Pre-training (arXiv:2305.08702). The parent is the new base; the donor
is a version tuned on the old one. `initialise` starts from the donor's adapter on the new base, `distil_weight` learns
from the donor's answers, (1 - alpha) * L + alpha * T^2 * KL(donor || student), and both together do best in the paper.
With neither it is plain fine-tuning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources, Step
from learners.parts.distill import Distillation
from learners.parts.penalties import negative_log_likelihood

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

    from learners.versions import Version

__all__ = ["Settings", "compose", "wrap"]


class Settings(contract.Settings):
    """Recyclable tuning.

    Attributes:
        donor: id of the version that was tuned on the old base; it lies beside the parent.
        initialise: start from the donor's adapter instead of an empty one.
        distil_weight: alpha, the share of the loss that the donor's answers have; 0 leaves them out.
        temperature: T of the distillation.
    """

    donor: str = Field(default="", pattern=r"^[a-z0-9-]{0,64}$")
    initialise: bool = True
    distil_weight: float = Field(default=0.7, ge=0, le=1)
    temperature: float = Field(default=5.0, gt=0)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The new base under the donor's adapter, which goes on learning there.

    Raises:
        InvalidInput: no donor is named, it has no adapter, its adapter does not fit the parent, or the parent is an
            adapter version itself.
    """
    from peft import PeftModel

    from learners import weights

    settings: Settings = sources.settings
    parent = sources.parent
    if not settings.initialise or not settings.epochs:
        return weights.trainable(
            parent,
            rank=settings.lora_rank,
            alpha=settings.lora_alpha,
            full_weights=settings.full_weights,
            targets=settings.lora_targets,
            seed=sources.seed,
        )
    adapter = _adapter(parent, settings)
    model = weights.frozen(parent, merge=True)
    try:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=True, local_files_only=True)  # pyright: ignore
    except (RuntimeError, ValueError) as error:
        raise InvalidInput(
            f"the adapter of {settings.donor!r} does not fit the weights of {parent.spec.id!r}: {error}"
        ) from error


def _adapter(parent: Version, settings: Settings) -> Path:
    donor = _donor(parent, settings)
    if parent.spec.base is not None:
        raise InvalidInput(
            f"the parent {parent.spec.id!r} is an adapter over {parent.spec.base!r}; recycle carries an adapter over "
            "to a new base, so start from a version with full weights"
        )
    if donor.adapter is None:
        raise InvalidInput(
            f"the donor {settings.donor!r} has full weights and no adapter to carry over; set initialise=false"
        )
    return donor.adapter


def _donor(parent: Version, settings: Settings) -> Version:
    from learners.versions import read_version

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
    term = Distillation(
        lambda model, **inputs: donor(**inputs),
        distance="logits",
        source="new",
        weight=settings.distil_weight,
        temperature=settings.temperature,
    )

    def likelihood(model: PreTrainedModel, step: Step) -> torch.Tensor:
        return negative_log_likelihood(model, step.new) * (1 - settings.distil_weight)

    return Recipe(stage_loss=likelihood, losses=(term,))
