"""COPAL: continual pruning; what every data set so far needs is kept, the rest of the weights is set to zero.

Malla et al. 2024, COPAL (arXiv:2405.02347). Nothing is trained: the new records are calibration data. What a layer puts
out changes with the gradient W X X^T when weights W and inputs X are perturbed in proportion to themselves, so the
importance of a weight is |W * (W X X^T)|. It is summed over all data sets of the lineage, and the mask is cut from the
dense weights of its first version, not from pruned ones: a weight that was zeroed once would keep its zero for ever.
Where another method trained the parent, its weights are the dense ones from then on; where it changed the layers, the
importance begins anew.
Both are kept in the method memory, `memory/importance.safetensors` and `memory/dense.safetensors`. Blocks are pruned
from the first to the last, and each sees inputs that came through pruned ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import keep
from learners.parts.linears import input_norms, linears, through_blocks
from learners.parts.mix import no_steps
from learners.parts.rows import Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]

_METHOD, _DENSE, _IMPORTANCE = "copal", "dense", "importance"


class Settings(contract.Settings):
    """COPAL.

    Attributes:
        full_weights: always; a pruned model has no adapter.
        sparsity: part of each row of each weight that becomes zero; 0 changes nothing.
        pattern: `rows` prunes each row as a whole, `2:4` two of every four neighbours (half of all, whatever
            `sparsity` above 0 says), which GPUs compute faster.
        importance: `sensitivity` as above, or `norm`, |W| * ||x|| (Sun et al. 2024, Wanda, arXiv:2306.11695) on inputs
            of the dense model: cheaper, and independent of the order of the data sets. On the tiny model, half pruned
            for two halves of what it knew, one after the other, 0.32 and 0.30 nats against 0.32 and 0.25.
        calibration_rows: most rows that the importance is measured on.
    """

    full_weights: bool = True
    sparsity: float = Field(default=0.5, ge=0, lt=1)
    pattern: Literal["rows", "2:4"] = "rows"
    importance: Literal["sensitivity", "norm"] = "sensitivity"
    calibration_rows: int = Field(default=128, ge=1)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The plain model, with nothing to train."""
    from learners import weights

    return weights.frozen(sources.parent, merge=True)


def compose(run: Run) -> Recipe:
    """No step; the weights are pruned when the steps would be done."""
    return Recipe(plan=no_steps, finish=lambda model: _pruned(run, model))


def _pruned(run: Run, model: PreTrainedModel) -> PreTrainedModel:
    import torch

    settings: Settings = run.settings
    if not settings.epochs or not settings.sparsity:
        return model
    layers = linears(model)
    dense = keep.read(run.memory_folder, _DENSE) if run.parent.spec.method == _METHOD else None
    dense = dense or {name: layer.weight.detach() for name, layer in layers.items()}
    keep.write(run.memory_folder, _DENSE, dense)
    past = keep.read(run.memory_folder, _IMPORTANCE, like=dense)
    found: dict[str, torch.Tensor] = {}

    def prune(name: str, present: torch.Tensor) -> None:
        present = present / present.norm()
        found[name] = present if past is None else present + past[name].to(present.device)
        layers[name].weight.mul_(_mask(found[name], settings))

    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight.copy_(dense[name])
        _measure(model, run.new[: settings.calibration_rows], settings, prune)
    keep.write(run.memory_folder, _IMPORTANCE, found)
    return model


def _measure(
    model: PreTrainedModel, rows: Sequence[Row], settings: Settings, prune: Callable[[str, torch.Tensor], None]
) -> None:
    """Tell `prune` the importance that each weight of each layer (outputs x inputs) has for `rows`."""
    layers = linears(model)
    if settings.importance == "norm":
        for name, norm in input_norms(model, rows).items():
            prune(name, layers[name].weight.abs() * norm)
        return

    def change(moments: Mapping[str, torch.Tensor]) -> None:
        for name, moment in moments.items():
            weight = layers[name].weight
            prune(name, (weight * (weight @ moment.to(weight.dtype))).abs())

    through_blocks(model, rows, change)


def _mask(importance: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Ones where a weight stays: outputs x inputs."""
    import torch

    if settings.pattern == "2:4":
        grouped = importance.unflatten(-1, (-1, 4))
        return torch.zeros_like(grouped).scatter_(-1, grouped.topk(2, dim=-1).indices, 1.0).flatten(-2)
    kept = importance.shape[-1] - round(importance.shape[-1] * settings.sparsity)
    return torch.zeros_like(importance).scatter_(-1, importance.topk(kept, dim=-1).indices, 1.0)
