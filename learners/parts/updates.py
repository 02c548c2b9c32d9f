"""Update transforms: what of an optimizer step is applied.

Owns the arithmetic on weights between two steps. A transform remembers the weights before the optimizer's step and
changes what the step did to them, so it works with any optimizer; a constant factor on gradients does not, because Adam
divides it out again. Each has `remember` for `Recipe.before_step` and `apply` for `Recipe.after_step`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from learners.parts.penalties import trainable_copy

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Moment

__all__ = ["Recall", "Scale"]


class Recall:
    """RecAdam's decoupled step: theta + lambda * delta - eta * (1 - lambda) * gamma * (theta - anchor).

    Chen et al. 2020 (arXiv:2004.12651), algorithm 1: delta is what the optimizer would have done, and lambda rises from
    0 to 1 over the run as 1 / (1 + exp(-k (t - t0))). The pull never goes beyond the anchor: its factor is cut at 1,
    where the paper's own settings (eta gamma > 2) would diverge.

    Args:
        anchor: by parameter name, the weights that are recalled.
        pull: gamma.
        midpoint: t0, as a share of the run.
        steepness: k, per whole run.
        strength: 1 as in the paper; 0 leaves every step as it is.
    """

    def __init__(
        self, anchor: Mapping[str, torch.Tensor], *, pull: float, midpoint: float, steepness: float, strength: float
    ) -> None:
        self._anchor = anchor
        self._pull, self._midpoint, self._steepness, self._strength = pull, midpoint, steepness, strength
        self._before: dict[str, torch.Tensor] = {}

    def share_of_new(self, moment: Moment) -> float:
        """lambda: how much of the step is the new task's."""
        annealed = 1 / (1 + math.exp(-self._steepness * (moment.step / moment.steps - self._midpoint)))
        return 1 - self._strength * (1 - annealed)

    def remember(self, model: PreTrainedModel, moment: Moment) -> None:
        """Copy the weights before the step."""
        self._before = trainable_copy(model)

    def apply(self, model: PreTrainedModel, moment: Moment) -> None:
        """Shorten the step and pull towards the anchor."""
        import torch

        share = self.share_of_new(moment)
        pull = min(1.0, moment.learning_rate * (1 - share) * self._pull)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in self._before:
                    before = self._before[name]
                    drift = before - self._anchor[name].to(weight.device)
                    weight.copy_(before + share * (weight - before) - pull * drift)


class Scale:
    """Apply only a part of each step, weight by weight.

    Args:
        scale: by parameter name, in [0, 1], broadcast to its parameter; parameters without one keep their whole step.
    """

    def __init__(self, scale: Mapping[str, torch.Tensor]) -> None:
        self._scale = scale
        self._before: dict[str, torch.Tensor] = {}

    def remember(self, model: PreTrainedModel, moment: Moment) -> None:
        """Copy the scaled weights before the step."""
        self._before = {
            name: weight.detach().clone() for name, weight in model.named_parameters() if name in self._scale
        }

    def apply(self, model: PreTrainedModel, moment: Moment) -> None:
        """Take back what is not applied; exactly nothing at 1, everything at 0."""
        import torch

        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in self._before:
                    kept = self._scale[name].to(weight.device)
                    weight.copy_(torch.lerp(self._before[name], weight, kept.expand_as(weight)))

    def scale_gradients(self, model: PreTrainedModel, moment: Moment) -> None:
        """The same factors on gradients, as released code has it: Adam undoes them, so it changes almost nothing."""
        for name, weight in model.named_parameters():
            if name in self._scale and weight.grad is not None:
                weight.grad.mul_(self._scale[name].to(weight.device))
