"""Bottleneck adapters behind the MLP of every block, one set for each deletion: h + sum_i up_i(relu(down_i(h))).

The unlearning layers of Chen and Yang 2023, EUL (arXiv:2310.20150). Every up_i starts at 0, so that an untrained set
changes nothing, bit for bit. The sets of several deletions stand side by side, which is one adapter as wide as all of
them together; those of earlier deletions are never trained again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from learners.failures import InvalidInput
from learners.parts.extensions import Extension

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["Kind"]


class _Adapter(nn.Module):
    """up(relu(down(h))), without biases."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, bottleneck, bias=False)
        self.up = nn.Linear(bottleneck, width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Same shape and precision as `hidden`: (..., width)."""
        own = hidden.to(self.down.weight.dtype)
        return self.up(nn.functional.relu(self.down(own))).to(hidden.dtype)


class Kind(Extension):
    """The adapters of all deletions.

    Args:
        config: of the model.
        widths: inside the adapters of each deletion, the oldest first.
    """

    kind = "bottleneck"

    def __init__(self, config: PretrainedConfig, *, widths: list[int]) -> None:
        super().__init__()
        self._hidden, self._blocks = int(config.hidden_size), int(config.num_hidden_layers)
        self._widths: list[int] = []
        self.deletions = nn.ModuleList()
        for width in widths:
            self._add(width)

    def configuration(self) -> dict[str, Any]:
        """The widths."""
        return {"widths": self._widths}

    def __len__(self) -> int:
        """Number of deletions."""
        return len(self._widths)

    def matrices(self) -> dict[str, nn.Linear]:
        """Every matrix of every deletion, by name."""
        return {name: module for name, module in self.named_modules() if isinstance(module, nn.Linear)}

    def grow(self, width: int, *, seed: int) -> None:
        """Add the adapters of a deletion, which change nothing until they learn, and freeze all others."""
        self.requires_grad_(False)
        torch.manual_seed(seed)
        self._add(width)

    def _add(self, width: int) -> None:
        self.deletions.append(nn.ModuleList([_Adapter(self._hidden, width) for _ in range(self._blocks)]))
        self._widths.append(width)

    def hook(self, model: PreTrainedModel) -> list[RemovableHandle]:
        """Add to what every MLP says.

        Raises:
            InvalidInput: the model's blocks have no part called `mlp`.
        """
        decoder: Any = model.get_decoder()
        try:
            return [block.mlp.register_forward_hook(self._behind(at)) for at, block in enumerate(decoder.layers)]
        except AttributeError as error:
            raise InvalidInput(
                f"{type(model).__name__} has no blocks with an `mlp` to stand behind ({error}); use a model of the "
                "Llama family, or a method of forgetting that trains a LoRA adapter"
            ) from error

    def _behind(self, block: int) -> Callable[[Any, Any, torch.Tensor], torch.Tensor]:
        def add(module: Any, arguments: Any, output: torch.Tensor) -> torch.Tensor:
            added = [deletion[block](output) for deletion in self.deletions]  # pyright: ignore[reportIndexIssue]
            return output + torch.stack(added).sum(dim=0) if added else output

        return add
