"""Tensors by name, kept in a version's `memory/` folder: what a method knows of the past beside the replay memory.

Owns `memory/<name>.safetensors` for whichever name a method gives it; a name comes from code, never from data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["put", "read", "write"]


def write(folder: Path, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors into a `memory/` folder that is being built."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    plain = {key: value.detach().contiguous().cpu() for key, value in sorted(tensors.items())}
    save_file(plain, folder / f"{name}.safetensors")


def read(folder: Path, name: str, *, like: Mapping[str, torch.Tensor] | None = None) -> dict[str, torch.Tensor] | None:
    """Read what was written; None where there is nothing, or where it does not have the names and shapes of `like`."""
    from safetensors.torch import load_file

    path = folder / f"{name}.safetensors"
    if not path.exists():
        return None
    found = load_file(path)
    if like is None:
        return found
    fits = {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in like.items()}
    return found if fits else None


def put(tensors: Mapping[str, torch.Tensor], model: PreTrainedModel) -> None:
    """Put kept tensors into the weights of the same names."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in tensors:
                weight.copy_(tensors[name])
