"""EUL: unlearning layers. The model is frozen; small adapters behind every MLP learn not to know what is forgotten.

Chen and Yang 2023, Unlearn What You Want to Forget (arXiv:2310.20150). With p the model and p0 the parent,

    kl_weight * KL(p0 || p) of what is kept + replay_weight * its likelihood
    - strength * (KL(p0 || p) of what is forgotten + likelihood_weight * its negative log-likelihood)

in nats a token. Both that ascend end at the ceilings of `learners.parts.unlearning`, and the divergence at `cap_nats`.
The adapters are an extension (`learners.parts.extensions.bottleneck`). The next deletion adds its own beside them, and
nothing of what was forgotten is kept. With `fuse` it begins without them, as in the paper, and least squares make one
set of both, for which second moments of hidden states of all that was forgotten are kept (`learners.parts.fusion`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import forgetting
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.methods.forgetting import prepare
from learners.parts import fusion
from learners.parts.distill import Distillation, Teacher
from learners.parts.likelihood import predicted, spread
from learners.parts.rows import learned
from learners.parts.unlearning import Ceilings

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step
    from learners.parts.extensions.bottleneck import Kind

__all__ = ["Divergence", "Settings", "compose", "prepare", "wrap"]


class Settings(forgetting.Settings):
    """EUL.

    Attributes:
        learning_rate: the adapters begin as nothing and have no scale of their own.
        replay_weight: lower than elsewhere, for two terms keep.
        bottleneck: width of the adapters.
        kl_weight: alpha, weight of the divergence from the parent on what is kept.
        fuse: make one set of adapters of all deletions. Side by side each stays what it was proven to be, and the model
            grows by a set with each deletion; one set comes near to each, and all deletions must ask for it.
        likelihood_weight: gamma, weight of the negative log-likelihood of what is forgotten beside the divergence; of a
            fact that is known by heart, the two are nearly the same.
    """

    learning_rate: float = Field(default=1e-2, gt=0)
    replay_weight: float = Field(default=1.0, ge=0)
    bottleneck: int = Field(default=32, ge=1)
    fuse: bool = False
    kl_weight: float = Field(default=1.0, ge=0)
    likelihood_weight: float = Field(default=0.0, ge=0)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with the adapters of earlier deletions and those of this one; without an epoch none is added.

    Raises:
        InvalidInput: the parent's extension is of another kind, or its adapters cannot be fused any more.
    """
    from learners import weights
    from learners.parts import extensions
    from learners.parts.extensions.bottleneck import Kind

    settings: Settings = sources.settings
    model = weights.frozen(sources.parent)
    earlier = extensions.continued(sources.parent.extension, model, Kind)
    fused = settings.fuse and settings.epochs
    if earlier is not None and fused:
        _require_fusible(sources, earlier)
    adapters = earlier if earlier is not None and not fused else Kind(extensions.plain(model).config, widths=[])
    if settings.epochs:
        adapters.grow(settings.bottleneck, seed=sources.seed)
    if len(adapters):
        adapters.attach(model)
    return model


def _require_fusible(sources: Sources, earlier: Kind) -> None:
    widths, wanted = earlier.configuration()["widths"], sources.settings.bottleneck
    if widths != [wanted] or not fusion.known(sources.memory_folder):
        raise InvalidInput(
            f"{sources.parent.spec.id!r} has adapters of widths {widths} that cannot be fused with one of {wanted}: "
            "all deletions must have one bottleneck and fuse = true, or what fusing needs is gone; leave fuse off"
        )


def compose(run: Run) -> Recipe:
    """Away from the parent on what is forgotten, near it on what is kept."""
    settings: Settings = run.settings
    teacher = Teacher(run.model)
    away = Divergence(
        teacher, forgetting.ceilings(run), cap_nats=settings.cap_nats, strength=settings.strength,
        likelihood_weight=settings.likelihood_weight,
    )  # fmt: skip
    near = Distillation(teacher, distance="logits", source="rehearsal", weight=settings.kl_weight, temperature=1.0)
    recipe = forgetting.recipe(run, away, *([near] if settings.kl_weight and settings.strength else []))
    return replace(recipe, after_training=(_fusing(run),)) if settings.fuse and settings.epochs else recipe


def _fusing(run: Run) -> Callable[[], None]:
    """Fuses the run's adapters with those of the parent, once they are trained."""
    from learners.parts import extensions
    from learners.parts.extensions.bottleneck import Kind

    own, earlier = extensions.attached(run.model), extensions.continued(run.parent.extension, run.model, Kind)
    if not isinstance(own, Kind):
        raise TypeError(f"the run's model carries {own!r} in place of its unlearning layers")
    before = {name: one.weight for name, one in earlier.matrices().items()} if earlier else {}
    rows = forgetting.rows_of(run, run.records)
    return partial(fusion.fuse, run.model, own.matrices(), before, rows, run.memory_folder)


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

        from learners.together import by_rows

        rows = step.new
        nats, apart = by_rows(partial(self._read, model), rows).unbind(dim=-1)
        counted, ceilings = learned(rows), self._ceilings(model, rows)
        apart = torch.where(nats < ceilings, apart, apart.detach()).clamp(max=self._cap)[counted].mean()
        nats = torch.minimum(nats, ceilings)[counted].mean()
        return -self._strength * (apart + self._likelihood_weight * nats)

    def _read(self, model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Negative log-likelihood of each token but the first, and KL(parent || model) there, in nats (... x 2)."""
        import torch
        from torch.nn.functional import nll_loss

        now, taught = predicted(model, rows), predicted(model, rows, by=partial(self._teacher, model))
        before, after = taught.log_softmax(dim=-1), now.log_softmax(dim=-1)
        apart = (before.exp() * (before - after)).sum(dim=-1)
        nats = nll_loss(after, rows["labels"][:, 1:][learned(rows)], reduction="none")
        return spread(torch.stack([nats, apart], dim=-1), rows)
