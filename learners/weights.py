"""Weights of a version: load them, wrap them for training, save them, merge them.

The only place that turns a version folder into a model and back. Reads and writes safetensors alone, never runs code
of a checkpoint, never touches the network. Called by workers (`learners.training`, the engines of `monitors`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from learners import ranks
from learners.failures import InvalidInput
from learners.parts import extensions
from learners.parts.targets import LoraTargets, target_modules
from learners.versions import Version, read_version

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from learners.methods.contract import Settings

__all__ = [
    "Loaded", "Saved", "best_device", "export_merged", "frozen", "load", "merged", "new_adapter", "read_tokenizer",
    "read_weights", "save_weights", "trainable", "trainable_as_told",
]  # fmt: skip

transformers_logging.disable_progress_bar()

Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Loaded:
    """A version in memory: `model` is a plain model, or a `PeftModel` whose adapter `default` is the version's.

    Where the version has an extension, it is attached.
    """

    version: Version
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load(folder: Path, *, dtype: Dtype = "float32", device: str | None = None, verify: bool = True) -> Loaded:
    """Load a version for inference: base weights and, where it has one, its adapter.

    Args:
        folder: the version folder; an adapter version needs its base version beside it.
        dtype: of the weights in memory; adapter weights stay as they were saved.
        device: torch device; None takes the first GPU, or the CPU.
        verify: hash every file against the manifests first.

    Raises:
        IncompleteFolder, DamagedFolder, InvalidVersion: see `learners.versions.read_version`.
    """
    version = read_version(folder, verify=verify)
    model = read_weights(version.weights, dtype)
    if version.adapter:
        model = PeftModel.from_pretrained(model, str(version.adapter), local_files_only=True)
    if version.extension:
        extensions.read(version.extension, model).attach(model)  # pyright: ignore[reportArgumentType]
    model.to(device or best_device()).eval()  # pyright: ignore[reportArgumentType]
    return Loaded(version, model, read_tokenizer(version.weights))  # pyright: ignore[reportArgumentType]


def best_device() -> str:
    """`cuda` where there is a GPU that torch can use, else `cpu`; of several processes, each has its own GPU."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{ranks.local_rank()}" if ranks.count() > 1 else "cuda"


def read_weights(folder: Path, dtype: Dtype = "float32") -> PreTrainedModel:
    """Read a folder of safetensors weights; no other format, no remote code."""
    return AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True, trust_remote_code=False
    )


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Read the tokenizer beside the weights; without a padding token, the end-of-sequence token pads."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def trainable(
    version: Version, *, rank: int, alpha: int, full_weights: bool, seed: int, targets: LoraTargets = "auto"
) -> PreTrainedModel:
    """Load a parent for training.

    Args:
        version: the parent, already verified.
        rank, alpha, targets: of a new adapter; a parent's adapter is continued as it is.
        full_weights: train every weight; a parent's adapter is merged into them first.
        seed: of a new adapter's random half (the other half is zero, so it changes nothing at first).

    Returns:
        A `PeftModel` whose only adapter `default` is trainable, or with `full_weights` a plain model. A parent's
        extension is attached and not trained.

    Raises:
        InvalidInput: see `learners.parts.targets.target_modules`.
    """
    model = read_weights(version.weights)
    if version.adapter:
        adapted = PeftModel.from_pretrained(
            model, str(version.adapter), is_trainable=not full_weights, local_files_only=True
        )
        model = merged(adapted).requires_grad_(True) if full_weights else adapted  # pyright: ignore
    elif not full_weights:
        model = new_adapter(model, rank=rank, alpha=alpha, seed=seed, targets=targets)
    if version.extension:
        extensions.read(version.extension, model).attach(model)  # pyright: ignore[reportArgumentType]
    return model  # pyright: ignore[reportReturnType]


def trainable_as_told(version: Version, settings: Settings, *, seed: int) -> PreTrainedModel:
    """`trainable` with the adapter, or the full weights, that a method's settings ask for."""
    return trainable(
        version,
        rank=settings.lora_rank,
        alpha=settings.lora_alpha,
        full_weights=settings.full_weights,
        targets=settings.lora_targets,
        seed=seed,
    )


def new_adapter(
    model: PreTrainedModel, *, rank: int, alpha: int, seed: int, targets: LoraTargets = "auto"
) -> PreTrainedModel:
    """Wrap a plain model with a fresh LoRA adapter, which changes nothing until it is trained.

    Raises:
        InvalidInput: see `learners.parts.targets.target_modules`.
    """
    torch.manual_seed(seed)
    layers = target_modules(model, targets)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=layers, task_type="CAUSAL_LM")
    return get_peft_model(model, config)  # pyright: ignore[reportReturnType, reportArgumentType]


def frozen(version: Version, *, merge: bool = False) -> PreTrainedModel:
    """Load a parent with its adapter and nothing trainable: what other parameters are hung onto.

    Args:
        merge: add the adapter to the weights, so that the model is a plain one.

    Returns:
        The model; the parent's extension is left out, whoever continues it reads it.

    Raises:
        InvalidInput: with `merge`, the parent has an extension, which would be lost.
    """
    if merge and version.extension:
        raise InvalidInput(
            f"version {version.spec.id!r} answers through its extension of kind {version.spec.extension!r}, which "
            "cannot become plain weights; train from a version without one, or with the method that made it"
        )
    model = read_weights(version.weights)
    if version.adapter:
        adapted = PeftModel.from_pretrained(model, str(version.adapter), local_files_only=True)
        model = merged(adapted) if merge else adapted
    return model.requires_grad_(False)  # pyright: ignore[reportReturnType]


def merged(model: PeftModel) -> PreTrainedModel:
    """The plain model with its adapter added to its weights."""
    return model.merge_and_unload()  # pyright: ignore


@dataclass(frozen=True)
class Saved:
    """What was written: whether it stands over the weights of a base version, and the kind of its extension."""

    over_base: bool
    extension: str | None


def save_weights(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Saved:
    """Save a trained model into a version folder that is being built.

    `adapter/` of a `PeftModel`; `extension/` where one is attached (it is detached then); and `weights/` of a plain
    model, unless it is a frozen one under an extension. Equal weights give equal bytes: nothing written depends on the
    run, on paths or on hash order.
    """
    extension = extensions.attached(model)
    if extension is not None:
        extension.detach(model)
        extensions.write(extension, folder / "extension")
    changed = extension is None or any(weight.requires_grad for weight in model.parameters())
    if isinstance(model, PeftModel) or changed:
        _save_own(model, tokenizer, folder)
    return Saved(isinstance(model, PeftModel) or not changed, extension.kind if extension else None)


def _save_own(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    if isinstance(model, PeftModel):
        target = folder / "adapter"
        model.save_pretrained(str(target), selected_adapters=["default"])
        (target / "README.md").unlink(missing_ok=True)
        _make_reproducible(target / "adapter_config.json")
        return
    model.save_pretrained(folder / "weights")
    tokenizer.save_pretrained(folder / "weights")


def _make_reproducible(config: Path) -> None:
    content = json.loads(config.read_bytes())
    content["base_model_name_or_path"] = None
    for key, value in content.items():
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            content[key] = sorted(value)
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def export_merged(folder: Path, destination: Path, *, dtype: Dtype = "float32") -> Path:
    """Write a version as one plain model folder that any engine can load.

    Args:
        folder: the version folder.
        destination: a folder that does not exist yet.

    Raises:
        FileExistsError: `destination` exists.
        InvalidInput: the version has an extension, which no plain model folder can hold.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists already; name a folder that does not")
    loaded = load(folder, dtype=dtype, device="cpu")
    model = loaded.model
    spec = loaded.version.spec
    if spec.extension:
        raise InvalidInput(
            f"version {spec.id!r} answers through its extension of kind {spec.extension!r}, which a plain model folder "
            "cannot hold; serve it with cld"
        )
    plain = merged(model) if isinstance(model, PeftModel) else model
    destination.mkdir(parents=True)
    plain.save_pretrained(destination)
    loaded.tokenizer.save_pretrained(destination)
    return destination
