"""Shared attention: every version brings an adapter, and attention over keys mixes all of them for each request.

Zhao et al. 2024, SAPT (arXiv:2401.08295), which the survey calls DAPT: L + kl_weight * sum over earlier versions of the
mean of KL(stored weights || weights now) over stored prompts. The network that makes queries goes on learning, and
without the second term it drifts: prompts of earlier versions find later adapters. A stored prompt is the largest of
its embeddings, all that the network sees of it. Remembered prompts that no version learned are held, in the same way,
at a key without an adapter, so that the model below answers what is like them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources, Step
from learners.parts import keep, pooled

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.parts.extensions.routers.attention import Chooser

__all__ = ["Settings", "compose", "wrap"]

_STORED, _BELOW = "sapt", "below"


class Settings(contract.Settings):
    """Shared attention.

    Attributes:
        lora_rank, lora_alpha, lora_targets: of every adapter; those of the first version of a lineage hold for all, as
            do `hidden` and `temperature`.
        full_weights: has no part in it; the model is frozen.
        hidden: width inside the network that makes queries.
        temperature: of the attention, in units of the paper's square root of the width. At 1 a task leans on adapters
            before its own, and a later one that takes a little of its weight away makes it forget.
        kl_weight: of the term that keeps earlier prompts at their adapters, and those of the model below at none.
        stored: most prompts of a version that are kept for it.
        others: most prompts of the replay memory that no adapter learned; they are left to the model below.
    """

    lora_rank: int = Field(default=4, ge=1)
    lora_alpha: int = Field(default=32, ge=1)
    hidden: int = Field(default=100, ge=1)
    temperature: float = Field(default=0.25, gt=0)
    kl_weight: float = Field(default=1.0, ge=0)
    stored: int = Field(default=64, ge=1)
    others: int = Field(default=100, ge=0)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with its adapters and a new one."""
    from learners import weights

    settings: Settings = sources.settings
    router = {"kind": "attention", "hidden": settings.hidden, "temperature": settings.temperature}
    return pooled.grown(weights.frozen(sources.parent), sources, router)


def compose(run: Run) -> Recipe:
    """Learn adapter, key and network; keep the weights that stored prompts have, and store some of the new ones."""
    from learners.parts.extensions.routers.attention import Chooser

    settings: Settings = run.settings
    found = pooled.pool_of(run, Chooser)
    if found is None:
        return Recipe()
    pool, router = found
    stored = keep.read(run.memory_folder, _STORED) or {}
    ours, below = pooled.examples(run, router, settings.stored)
    stored |= {_BELOW: below} if len(below) else {}
    router.add_key(seed=run.seed, below=_BELOW in stored and settings.kl_weight > 0)
    drift = (Drift(router, stored, ours, settings.kl_weight),) if stored and settings.kl_weight else ()
    return pooled.learned(run, pool, partial(_store, run, router, stored, ours), losses=drift)


class Drift:
    """weight * (sum over earlier versions of the mean of KL(stored || now) over their stored prompts + H).

    H is the cross-entropy of leaving to the model below its own prompts, and no others.

    Args:
        router: that gives the weights now.
        stored: `prompts.<n>` (prompts x width) and `weights.<n>` (slots there were then) of version number n, and
            `below`, prompts of the model below; without these there is no H.
        ours: prompts of the version that is trained (some x width).
        weight: of the term.
    """

    def __init__(self, router: Chooser, stored: dict[str, torch.Tensor], ours: torch.Tensor, weight: float) -> None:
        at = router.inward.weight.device
        numbers = [name.removeprefix("prompts.") for name in sorted(stored) if name.startswith("prompts.")]
        self._pairs = [(stored[f"prompts.{one}"].to(at), stored[f"weights.{one}"].to(at)) for one in numbers]
        self._below = stored[_BELOW].to(at) if _BELOW in stored else None
        self._own = [*(prompts for prompts, _ in self._pairs), ours.to(at)]
        self._router, self._weight = router, weight

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The term at the router's present weights; slots that came later have a stored weight of 0."""
        import torch

        total = torch.zeros((), device=self._router.inward.weight.device)
        for prompts, before in self._pairs:
            now = self._router.mixture(prompts)[:, : len(before)].clamp(min=1e-12)
            total = total + torch.special.xlogy(before, before).sum() - (before * now.log()).sum(dim=1).mean()
        if self._below is not None:
            left, kept = self._router.left(self._below), 1 - self._router.left(torch.cat(self._own))
            total = total - left.clamp(min=1e-12).log().mean() - kept.clamp(min=1e-12).log().mean()
        return total * self._weight


def _store(run: Run, router: Chooser, stored: dict[str, torch.Tensor], ours: torch.Tensor) -> None:
    """Add the prompts of this version, and the mean weights that they have."""
    import torch

    with torch.no_grad():
        mean = router.mixture(ours).mean(dim=0)
    number = len(mean)
    keep.write(run.memory_folder, _STORED, {**stored, f"prompts.{number}": ours, f"weights.{number}": mean})
