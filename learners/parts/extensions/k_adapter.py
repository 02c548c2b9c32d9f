"""K-Adapter: small blocks beside the frozen model, fed by its hidden states; their sum is added to its last one.

a_0 = 0; a_i = x_i + MLP_i(norm(x_i)) with x_i = a_{i-1} + h_i for the output h_i of each tapped layer; and
h_out = h_last + W norm(a_k). Wang et al. 2021 (arXiv:2002.01808), in the form of Jang et al. 2022 (arXiv:2110.03215).
Two differences: the blocks have no attention of their own, so that a key-value cache stays what it is, and W, which
starts at 0, stands in the place of a factor of 0.1, so that an untrained adapter changes nothing, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from learners.parts.extensions import Extension

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["Kind"]


class _Block(nn.Module):
    """x + down(silu(up(norm(x))))."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, bottleneck)
        self.down = nn.Linear(bottleneck, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Same shape as `hidden`: (..., width)."""
        return hidden + self.down(nn.functional.silu(self.up(self.norm(hidden))))


class Kind(Extension):
    """The blocks of one adapter.

    Args:
        config: of the model.
        layers: numbers of the tapped layers, ascending; one block each.
        bottleneck: width inside a block.
    """

    kind = "k_adapter"

    def __init__(self, config: PretrainedConfig, *, layers: list[int], bottleneck: int) -> None:
        super().__init__()
        self._layers, self._bottleneck = layers, bottleneck
        self.blocks = nn.ModuleList([_Block(config.hidden_size, bottleneck) for _ in layers])
        self.norm = nn.RMSNorm(config.hidden_size)
        self.out = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        nn.init.zeros_(self.out.weight)
        self._tapped: torch.Tensor | None = None

    def configuration(self) -> dict[str, Any]:
        """Layers and bottleneck."""
        return {"layers": self._layers, "bottleneck": self._bottleneck}

    def hook(self, model: PreTrainedModel) -> list[RemovableHandle]:
        """Tap the layers, and add the result behind the final norm."""
        decoder: Any = model.get_decoder()
        taps = [
            decoder.layers[layer].register_forward_hook(self._tap(block, first=number == 0))
            for number, (layer, block) in enumerate(zip(self._layers, self.blocks, strict=True))
        ]
        return [*taps, decoder.norm.register_forward_hook(self._add)]

    def _tap(self, block: nn.Module, *, first: bool) -> Callable[[Any, Any, Any], None]:
        def feed(module: Any, arguments: Any, output: Any) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            self._tapped = block(hidden if first or self._tapped is None else self._tapped + hidden)

        return feed

    def _add(self, module: Any, arguments: Any, output: torch.Tensor) -> torch.Tensor:
        if self._tapped is None:
            raise RuntimeError("the final norm ran before any tapped layer; this architecture cannot carry a k_adapter")
        tapped, self._tapped = self._tapped, None
        return output + self.out(self.norm(tapped)).to(output.dtype)
