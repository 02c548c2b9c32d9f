"""Weights that several processes hold together: which ways of sharing them out are known, and making them whole.

Data-parallel processes (accelerate's MULTI_GPU) hold all weights each, and nothing is to do. FSDP's second version
holds slices, which are put together for saving; what needs whole weights while it trains is refused before the first
step, and so are other ways of slicing (FSDP's first version, DeepSpeed, Megatron), which have formats of their own for
weights and optimizer. Called by `learners.training` and `learners.trainer`; `learners.checkpoints` reads and writes
slices.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from learners import ranks
from learners.failures import InvalidInput
from learners.parts import extensions
from learners.parts.penalties import RehearsalLikelihood

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from learners.loop import Work

__all__ = ["gather", "refuse_unknown_sharing", "refuse_whole", "sliced"]

_WHOLE = {DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU}


def sliced() -> bool:
    """Whether the processes of this job are to hold slices of the weights; accelerate's launcher says so."""
    return ranks.count() > 1 and os.environ.get("ACCELERATE_USE_FSDP") == "true"


def refuse_unknown_sharing(state: Any) -> None:
    """Refuse what a version could not be saved from.

    Args:
        state: accelerate's `AcceleratorState`.

    Raises:
        InvalidInput: neither data-parallel nor FSDP 2.
    """
    kind: DistributedType = state.distributed_type
    plugin = getattr(state, "fsdp_plugin", None)
    if kind in _WHOLE or (kind == DistributedType.FSDP and plugin is not None and plugin.fsdp_version > 1):
        return
    version = f" version {plugin.fsdp_version}" if kind == DistributedType.FSDP and plugin is not None else ""
    raise InvalidInput(
        f"workers.accelerate_config asks for distributed_type {kind.value!r}{version}, from which no version can be "
        "saved; use 'MULTI_GPU', or 'FSDP' with fsdp_version: 2"
    )


def refuse_whole(work: Work, model: PreTrainedModel) -> None:
    """Refuse, where weights are sliced, what reads or changes them whole while it trains.

    Raises:
        InvalidInput: the run does.
    """
    recipe = work.recipe
    found = {
        f"learning from {work.form}": work.form != "rows",
        "a loss of its own": recipe.stage_loss is not None,
        "a loss term beside rehearsal": any(not isinstance(term, RehearsalLikelihood) for term in recipe.losses),
        "something done to gradients or weights at every step": bool(recipe.before_step or recipe.after_step),
        "something done to the trained weights": recipe.finish is not None,
        "an extension beside the model": extensions.attached(model) is not None,
    }
    reasons = [reason for reason, there in found.items() if there]
    if sliced() and reasons:
        raise InvalidInput(
            "workers.accelerate_config asks for distributed_type 'FSDP', which slices the weights, and this run needs "
            f"them whole ({', '.join(reasons)}); use 'MULTI_GPU', or a method that learns rows alone, such as 'replay'"
        )


def gather(model: PreTrainedModel) -> None:
    """Give every process all weights of a model that FSDP 2 has sliced, on the CPU; a collective, after the last step.

    One weight after the other is put together, so no GPU ever holds them all. The model can be saved then, and reads no
    more rows: its layers still are FSDP's, and would wait for processes that have ended.
    """
    layers = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for layer in layers:
        layer.reshard()
    whole: dict[nn.Parameter, nn.Parameter] = {}  # a tied weight stays one
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if isinstance(weight, DTensor):
                if weight not in whole:
                    whole[weight] = _on_cpu(weight)
                module.register_parameter(name, whole[weight])
    if layers:
        model.register_forward_pre_hook(_refuse_reading, prepend=True)


def _on_cpu(weight: DTensor) -> nn.Parameter:
    return nn.Parameter(weight.full_tensor().detach().cpu(), requires_grad=weight.requires_grad)


def _refuse_reading(*_: Any) -> NoReturn:
    raise InvalidInput(
        "the method reads rows after the last step, which sliced weights cannot; use distributed_type 'MULTI_GPU' in "
        "workers.accelerate_config for it"
    )
