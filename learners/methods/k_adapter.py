"""K-Adapter: the model is frozen; small blocks beside it learn, fed by its hidden states.

Wang et al. 2021 (arXiv:2002.01808); the best baseline of Jang et al. 2022, Towards Continual Knowledge Learning
(arXiv:2110.03215): a_0 = 0, a_i = block_i(a_(i-1) + h_i) for the output h_i of each tapped layer, and h_out = h_last +
W norm(a_k) before the output layer. Where theirs have attention and a factor of 0.1 in the place of W, ours have none
and W starts at 0: key-value caches stay valid, and an untrained adapter changes nothing. The blocks are an extension
(`learners.parts.extensions.k_adapter`), continued by later versions; without it the parent is back, bit for bit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]


class Settings(contract.Settings):
    """K-Adapter.

    Attributes:
        blocks: how many; the first one taps layer 1, the second a third of the way up.
        bottleneck: width inside a block.
    """

    blocks: int = Field(default=2, ge=1)
    bottleneck: int = Field(default=64, ge=1)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with its blocks or with new ones."""
    import torch

    from learners import weights
    from learners.parts import extensions
    from learners.parts.extensions.k_adapter import Kind

    settings: Settings = sources.settings
    model = weights.frozen(sources.parent)
    torch.manual_seed(sources.seed)
    adapter = extensions.continued(sources.parent.extension, model, Kind)
    if adapter is None:
        tapped = _tapped(model.config.num_hidden_layers, settings.blocks)
        adapter = Kind(extensions.plain(model).config, layers=tapped, bottleneck=settings.bottleneck)
    adapter.requires_grad_(True).attach(model)
    return model


def _tapped(layers: int, blocks: int) -> list[int]:
    """Layer numbers: 1, then a third of the depth further each, as 1 and 11 of 36 in Jang et al.; more lie closer."""
    apart = layers / max(3, blocks)
    return sorted({min(layers - 1, max(1, math.ceil(number * apart))) for number in range(blocks)})


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage."""
    return Recipe()
