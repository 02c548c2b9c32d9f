"""What accelerate's configuration file may ask of a training job, and what is wrong with one that asks for more.

Owns the rules that `docs/operations.md` explains key by key: training in several processes of one machine, each with
all weights or with slices of them (FSDP 2). Reads the file as data and imports neither torch nor accelerate, so that
`cld doctor` can ask before a job is lost. Called by `learners.launch` and `agent.root.doctor`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import yaml

__all__ = ["Fault", "faults"]

_DEVICES: Final = Path("/dev")
_OURS: Final = {
    "fsdp_version": (2, "a version cannot be saved from what version 1 makes of the weights"),
    "fsdp_auto_wrap_policy": ("TRANSFORMER_BASED_WRAP", "layers are sliced one by one, or a GPU has to hold them all"),
    "fsdp_offload_params": (False, "checkpoints expect the slices on their GPUs"),
    "fsdp_activation_checkpointing": (False, "set [training] gradient_checkpointing in cld.toml, which does that"),
}
"""Keys of fsdp_config: what they have to be, and why."""
_UNSET: Final = {"fsdp_version": 1, "fsdp_auto_wrap_policy": "NO_WRAP"}
"""What accelerate takes where the file is silent and that is not ours."""


class Fault(NamedTuple):
    """What is wrong with a file, and what to do about it."""

    finding: str
    fix: str


def faults(path: Path) -> list[Fault]:
    """Everything that keeps training jobs from starting as a file says; nothing where all is well.

    Args:
        path: a file of `accelerate config`, YAML or JSON.
    """
    if not path.is_file():
        return [Fault(f"{str(path)!r} is no file", "write one with `accelerate config --config_file PATH`")]
    try:
        content = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [Fault(f"{str(path)!r} is neither YAML nor JSON: {error}", "write it with `accelerate config`")]
    if not isinstance(content, dict):
        return [Fault(f"{str(path)!r} holds no keys", "write it with `accelerate config --config_file PATH`")]
    found = cast(dict[str, Any], content)
    return [*_kind(found), *_processes(found), *_slices(found)]


def _kind(content: Mapping[str, Any]) -> Iterator[Fault]:
    kind = content.get("distributed_type")
    if kind == "MULTI_CPU":
        yield _must(content, "distributed_type", "MULTI_GPU with use_cpu: true", "MULTI_CPU wants MPI")
    elif kind not in ("MULTI_GPU", "FSDP"):
        yield _must(content, "distributed_type", "MULTI_GPU or FSDP", "no version can be saved from others")
    if content.get("num_machines", 1) != 1:
        yield _must(content, "num_machines", "1", "a worker lives on one machine")
    if str(content.get("mixed_precision") or "no").lower() != "no":
        yield _must(content, "mixed_precision", "'no'", "[training] precision in cld.toml says it for every job")
    if content.get("parallelism_config"):
        yield _must(content, "parallelism_config", "left out", "rows and weights are shared out, layers are not")


def _processes(content: Mapping[str, Any]) -> Iterator[Fault]:
    number = content.get("num_processes")
    if not isinstance(number, int) or number < 2:
        yield _must(content, "num_processes", "2 or more", "unset workers.accelerate_config to train in one process")
    elif not content.get("use_cpu"):
        gpus = len(list(_DEVICES.glob("nvidia[0-9]*")))
        if number > gpus and not (_DEVICES / "kfd").exists():  # AMD's driver, whose GPUs have no numbers there
            yield _must(content, "num_processes", f"at most {gpus}", f"this machine has {gpus} GPUs, one a process")


def _slices(content: Mapping[str, Any]) -> Iterator[Fault]:
    if content.get("distributed_type") != "FSDP":
        return
    if content.get("use_cpu"):
        yield _must(content, "use_cpu", "false", "accelerate slices weights on GPUs alone; on CPUs use MULTI_GPU")
    given = content.get("fsdp_config")
    given = cast(dict[str, Any], given) if isinstance(given, dict) else {}
    own = {key if key.startswith("fsdp_") else f"fsdp_{key}": value for key, value in given.items()}
    for key, (wanted, why) in _OURS.items():
        value = own.get(key, _UNSET.get(key, wanted))
        if str(value).lower() != str(wanted).lower():
            yield _must({key: value}, key, repr(wanted), why)


def _must(content: Mapping[str, Any], key: str, wanted: str, why: str) -> Fault:
    return Fault(f"{key} is {content.get(key)!r}; {why}", f"set {key} to {wanted} in the file of accelerate_config")
