"""Piggyback: the weights stay as they are; which of them are used is learned.

Mallya et al. 2018 (arXiv:1801.06519): y = (W * 1[m > 0.005]) x + b with scores m, 0.01 at first, straight through the
threshold: dL/dm = dL/dW_eff * W. Only linear layers of the blocks have scores; those of the embeddings and the output
layer stay whole. A version is served with its mask folded into its weights, which costs nothing. The method memory
keeps the backbone's own weights (`memory/backbone.safetensors`) and the mask of every version of the lineage, one bit a
weight (`memory/mask-<n>.safetensors`): the next version starts from its parent's mask over the same backbone, may take
up weights again that the parent dropped, and any earlier mask can be restored exactly. Where another method trained the
parent, its weights are a new backbone, all in use at first, and the masks of the old one are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import keep
from learners.parts.linears import linears

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]

_METHOD, _BACKBONE = "piggyback", "backbone"


class Settings(contract.Settings):
    """Piggyback.

    Attributes:
        full_weights: always; a mask folded into weights is no adapter.
    """

    full_weights: bool = True


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The backbone, masked as the parent is."""
    from learners import weights
    from learners.parts.masks import mask, unpacked

    model = weights.frozen(sources.parent, merge=True)
    layers = linears(model)
    shapes = {name: layer.weight for name, layer in layers.items()}
    backbone = keep.read(sources.memory_folder, _BACKBONE, like=shapes)
    if backbone is None or sources.parent.spec.method != _METHOD:
        mask(layers)
        return model
    keep.put({f"{name}.weight": value for name, value in backbone.items()}, model)
    bits = keep.read(sources.memory_folder, _mask_name(_masks(sources.memory_folder) - 1)) or {}
    mask(layers, {name: unpacked(bits[name], weight.shape) for name, weight in shapes.items()})
    return model


def compose(run: Run) -> Recipe:
    """Train scores; fold them at the end."""
    return Recipe(finish=lambda model: _folded(run, model))


def _folded(run: Run, model: PreTrainedModel) -> PreTrainedModel:
    from learners.parts.masks import fold, packed

    layers = linears(model)
    # Folding writes into the very tensors that hold the backbone.
    backbone = {name: layer.parametrizations["weight"].original.detach().clone() for name, layer in layers.items()}  # pyright: ignore
    used = dict(zip(layers, fold(layers.values()), strict=True))
    if run.settings.epochs:
        if run.parent.spec.method != _METHOD:
            _forget_masks(run.memory_folder)
        keep.write(run.memory_folder, _BACKBONE, backbone)
        number = _masks(run.memory_folder)
        keep.write(run.memory_folder, _mask_name(number), {name: packed(bits) for name, bits in used.items()})
    return model


def _forget_masks(folder: Path) -> None:
    """Of a backbone that is none any more."""
    for file in folder.glob("mask-*.safetensors"):
        file.unlink()


def _mask_name(number: int) -> str:
    return f"mask-{number}"


def _masks(folder: Path) -> int:
    """How many masks a memory holds; they are numbered from 0."""
    return len(list(folder.glob("mask-*.safetensors")))
