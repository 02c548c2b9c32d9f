"""EUL: unlearning layers. The model is frozen; small adapters behind every MLP learn not to know what is forgotten.

Chen and Yang 2023, Unlearn What You Want to Forget (arXiv:2310.20150). With p the model and p0 the parent,

    kl_weight * KL(p0 || p) of what is kept + replay_weight * its likelihood
    - strength * (KL(p0 || p) of what is forgotten + likelihood_weight * its negative log-likelihood)

in nats a token. Both that ascend end at the ceilings of `learners.parts.unlearning`, and the divergence at `cap_nats`.
The adapters are an extension (`learners.parts.extensions.bottleneck`); the next deletion adds its own beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from learners.methods import forgetting
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.methods.forgetting import prepare
from learners.parts.distill import Distillation, Teacher
from learners.parts.unlearning import Ceilings, said

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Divergence", "Settings", "compose", "prepare", "wrap"]


class Settings(forgetting.Settings):
    """EUL.

    Attributes:
        learning_rate: the adapters begin as nothing and have no scale of their own.
        replay_weight: lower than elsewhere, for two terms keep.
        bottleneck: width of the adapters.
        kl_weight: alpha, weight of the divergence from the parent on what is kept.
        likelihood_weight: gamma, weight of the negative log-likelihood of what is forgotten beside the divergence; of a
            fact that is known by heart, the two are nearly the same.
    """

    learning_rate: float = Field(default=1e-2, gt=0)
    replay_weight: float = Field(default=1.0, ge=0)
    bottleneck: int = Field(default=32, ge=1)
    kl_weight: float = Field(default=1.0, ge=0)
    likelihood_weight: float = Field(default=0.0, ge=0)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with the adapters of earlier deletions and those of this one; without an epoch none is added.

    Raises:
        InvalidInput: the parent's extension is of another kind.
    """
    from learners import weights
    from learners.parts import extensions
    from learners.parts.extensions.bottleneck import Kind

    settings: Settings = sources.settings
    model = weights.frozen(sources.parent)
    adapters = extensions.continued(sources.parent.extension, model, Kind)
    adapters = adapters or Kind(extensions.plain(model).config, widths=[])
    if settings.epochs:
        adapters.grow(settings.bottleneck, seed=sources.seed)
    if len(adapters):
        adapters.attach(model)
    return model


def compose(run: Run) -> Recipe:
    """Away from the parent on what is forgotten, near it on what is kept."""
    settings: Settings = run.settings
    teacher = Teacher(run.model)
    away = Divergence(
        teacher, forgetting.ceilings(run), cap_nats=settings.cap_nats, strength=settings.strength,
        likelihood_weight=settings.likelihood_weight,
    )  # fmt: skip
    near = Distillation(teacher, distance="logits", source="rehearsal", weight=settings.kl_weight, temperature=1.0)
    return forgetting.recipe(run, away, *([near] if settings.kl_weight and settings.strength else []))


class Divergence:
    """-strength * (KL(parent || model) + likelihood_weight * negative log-likelihood), means over forgotten tokens.

    Args:
        teacher: (model, inputs of a forward pass) -> outputs of the parent.
        ceilings: of the forgotten tokens; one that is at its own is pushed by neither part.
        cap_nats: of the divergence at a token.
        strength, likelihood_weight: see `Settings`.
    """

    def __init__(
        self, teacher: Callable[..., Any], ceilings: Ceilings, *, cap_nats: float, strength: float,
        likelihood_weight: float,
    ) -> None:  # fmt: skip
        self._teacher, self._ceilings, self._cap = teacher, ceilings, cap_nats
        self._strength, self._likelihood_weight = strength, likelihood_weight

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of one step's forgotten rows."""
        import torch

        rows = step.new
        now, ceilings = said(model, rows), self._ceilings(model, rows)
        inputs = {name: rows[name] for name in ("input_ids", "attention_mask")}
        taught = self._teacher(model, **inputs, logits_to_keep=now.places, use_cache=False).logits.float()
        before, after = taught.log_softmax(dim=-1), now.logits.log_softmax(dim=-1)
        apart = (before.exp() * (before - after)).sum(dim=-1)
        counted, below = now.counted[:, now.places], (now.nats < ceilings)[:, now.places]
        apart = torch.where(below, apart, apart.detach()).clamp(max=self._cap)[counted].mean()
        nats = torch.minimum(now.nats, ceilings)[now.counted].mean()
        return -self._strength * (apart + self._likelihood_weight * nats)
