"""Weights that several processes hold together: which ways of sharing them out are known, and making them whole.

Data-parallel processes (accelerate's MULTI_GPU) hold all weights each, and nothing is to do. FSDP's second version
holds slices that can be put together for saving; other ways (FSDP's first, DeepSpeed, Megatron) have formats of their
own for weights and optimizer, which neither a checkpoint nor a version can hold, and are refused before the first step.
Called by `learners.trainer`; `learners.checkpoints` reads and writes slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accelerate.utils import DistributedType

from learners.failures import InvalidInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["gather", "refuse_unknown_sharing"]

_WHOLE = {DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU}


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


def gather(model: PreTrainedModel) -> None:
    """Give every process all weights of a model that FSDP 2 has sliced, for good; a collective, after the last step."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.unshard()
