"""Contrast: what a model makes of a row is pulled together, and away from what earlier knowledge alone makes of it.

Ke et al. 2023, Continual Pre-training of Language Models (arXiv:2302.03241), section 3.3: two noisy passes of a row are
a positive pair; the other rows, and every row as the units that mattered before see it alone, are negatives. So what is
learned becomes complementary to what is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from learners.parts.distill import mean_pooled
from learners.parts.gates import gated, noisy

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Contrast", "contrast"]

_TEMPERATURE = 0.05


def contrast(views: torch.Tensor, others: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """-mean_n log [ e^s(v_n, o_n) / sum_j ( e^s(v_n, o_j) + e^s(v_n, k_j) ) ] with s = cosine / 0.05; a scalar.

    Args:
        views, others: two noisy passes of the same rows (rows x width).
        known: the rows as earlier knowledge alone sees them (rows x width).
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    candidates = normalize(torch.cat([others, known]), dim=-1)
    scores = normalize(views, dim=-1) @ candidates.T / _TEMPERATURE
    return cross_entropy(scores, torch.arange(len(views), device=scores.device))


class Contrast:
    """weight * contrast of the new rows, a loss term.

    Args:
        important: how much each unit mattered before, in [0, 1]; gates of the pass that earlier knowledge makes.
        noise: dropout rate of all three passes.
        weight: of the term.
        seed: of the noise; a step draws the same whether the run was interrupted before it or not.
    """

    def __init__(self, important: Mapping[str, torch.Tensor], *, noise: float, weight: float, seed: int) -> None:
        self._important, self._noise, self._weight, self._seed = dict(important), noise, weight, seed

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The weighted term for one step's new rows."""
        import torch

        draw = torch.Generator(device=model.device).manual_seed((self._seed << 24) + step.moment.step)
        views, others = (self._pass(model, step, draw) for _ in range(2))
        with gated(model, self._important):
            known = self._pass(model, step, draw)
        return contrast(views, others, known) * self._weight

    def _pass(self, model: PreTrainedModel, step: Step, draw: torch.Generator) -> torch.Tensor:
        from learners.parts.extensions import plain

        decoder: Any = plain(model).get_decoder()
        rows = {name: step.new[name] for name in ("input_ids", "attention_mask")}
        with noisy(model, self._noise, draw):
            hidden = decoder(**rows, use_cache=False).last_hidden_state
        return mean_pooled(hidden, rows["attention_mask"])
