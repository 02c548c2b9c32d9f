"""Training checkpoints: everything a run needs to go on as if it had never stopped.

Owns the folders `checkpoint-<step>` below a job's `work/`: trained weights, optimizer state and random state as
safetensors, schedule and trainer state as JSON, a manifest last. Replaces the pickles of transformers' own
checkpoints, which a daemon must not load. A folder without a manifest, or unlike it, is never resumed from.

Of several processes the first one writes, and all of them read. Where they share the weights out (FSDP), a checkpoint
holds them whole all the same, so that every process takes part in `save`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor

from learners import durable, ranks

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel

__all__ = [
    "STATE", "find", "load_method_state", "load_optimizer", "load_random_state", "load_weights", "save",
]  # fmt: skip

STATE = "trainer_state.json"  # the name under which transformers' Trainer looks for its own state
_WEIGHTS, _OPTIMIZER, _RANDOM = "weights.safetensors", "optimizer.safetensors", "random.safetensors"
_METHOD_STATE = "method.safetensors"
_SCHEDULE = "schedule.json"


def save(
    final: Path,
    *,
    model: PreTrainedModel,
    optimizer: Optimizer,
    schedule: LRScheduler,
    method_state: Mapping[str, torch.Tensor],
    documents: Mapping[str, Any],
) -> None:
    """Write a checkpoint, whole or not at all, and remove the earlier ones beside it.

    Args:
        final: `checkpoint-<step>` below the job's checkpoint folder.
        method_state: `Recipe.state`.
        documents: what else a resumed run must know, written as JSON files by name; transformers' own state as `STATE`.
    """
    tensors = {
        _WEIGHTS: _trained(model),
        _OPTIMIZER: _flat(optimizer),
        _RANDOM: _random_state(),
        _METHOD_STATE: {name: value.contiguous() for name, value in method_state.items()},
    }
    if ranks.rank() > 0:
        return
    staging = final.with_name(f".{final.name}")
    shutil.rmtree(staging, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)
    staging.mkdir(parents=True)
    for name, content in tensors.items():
        save_file(content, staging / name)
    (staging / _SCHEDULE).write_text(json.dumps(schedule.state_dict()), encoding="utf-8")
    for name, content in documents.items():
        (staging / name).write_text(json.dumps(content), encoding="utf-8")
    durable.write_manifest(staging)
    staging.rename(final)
    for earlier in final.parent.glob("checkpoint-*"):
        if earlier != final:
            shutil.rmtree(earlier)


def find(folder: Path) -> Path | None:
    """The latest checkpoint below `folder` that is proven complete, or None."""
    steps = {int(path.name.removeprefix("checkpoint-")): path for path in folder.glob("checkpoint-[0-9]*")}
    for step in sorted(steps, reverse=True):
        try:
            durable.verify(steps[step])
        except (durable.IncompleteFolder, durable.DamagedFolder):
            continue
        return steps[step]
    return None


def load_weights(checkpoint: Path, model: PreTrainedModel) -> None:
    """Put the checkpoint's trained weights into `model`."""
    kept = load_file(checkpoint / _WEIGHTS)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.copy_(_shared_like(kept.pop(name), weight))
    if kept:
        raise ValueError(f"checkpoint {checkpoint} holds weights that are not trained: {sorted(kept)[:3]}; remove it")


def load_method_state(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The checkpoint's `Recipe.state`, on the CPU."""
    return load_file(checkpoint / _METHOD_STATE)


def load_optimizer(checkpoint: Path, optimizer: Optimizer, schedule: LRScheduler) -> None:
    """Put the checkpoint's optimizer and schedule state back."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(checkpoint / _OPTIMIZER).items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for index, entry in state.items():
        of_each = {key: _shared_like(value, weights[index]) for key, value in entry.items() if value.ndim}
        entry.update(of_each)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    schedule.load_state_dict(json.loads((checkpoint / _SCHEDULE).read_bytes()))
    for group, rate in zip(optimizer.param_groups, schedule.get_last_lr(), strict=True):
        group["lr"] = rate


def load_random_state(checkpoint: Path) -> None:
    """Put torch's random state back, on the CPU and on the GPU it was saved with."""
    kept = load_file(checkpoint / _RANDOM)
    torch.set_rng_state(kept["cpu"])
    if "cuda" in kept and torch.cuda.is_available():
        torch.cuda.set_rng_state(kept["cuda"])


def _trained(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {
        name: _whole(weight.detach()).contiguous() for name, weight in model.named_parameters() if weight.requires_grad
    }


def _flat(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{index}.{key}": _whole(value).contiguous() for index, entry in state.items() for key, value in entry.items()
    }


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _shared_like(tensor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The part of a whole tensor that this process holds of `weight`; all of it where nothing is shared out."""
    if not isinstance(weight, DTensor):
        return tensor
    return distribute_tensor(tensor.to(weight.device), weight.device_mesh, weight.placements)


def _random_state() -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else states
