"""Versions as T tasks leave them, for every serving form.

Owns sizes and kinds: they are those of the methods' defaults. The numbers in the added weights are random and tiny, so
all forms but the prompts give the base's answers; what is compared is what carrying them costs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from learners import durable, weights
from learners.methods import settings_for
from learners.parts import extensions
from learners.versions import Version, VersionSpec, read_version, write_data, write_spec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["FORMS", "build"]

_TINY = 1e-6


def build(form: str, tasks: int, base: Path, folder: Path) -> Path:
    """Write the version; one that is there is kept."""
    if (folder / "version.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    parent = read_version(base, verify=False)
    model = FORMS[form](parent, tasks)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name or ".up." in name:
                weight.normal_(std=_TINY)
    saved = weights.save_weights(model, weights.read_tokenizer(parent.weights), folder)
    write_data(folder, ())
    own = parent.spec.id if saved.over_base else None
    spec = VersionSpec(
        id=folder.name, parent=parent.spec.id, base=own, extension=saved.extension, created_by="benchmark"
    )
    write_spec(folder, spec)
    durable.write_manifest(folder)
    return folder


def _merged(parent: Version, tasks: int) -> PreTrainedModel:
    return weights.read_weights(parent.weights)


def _adapter(parent: Version, tasks: int) -> PreTrainedModel:
    settings: Any = settings_for("replay", "cit", {})
    return weights.new_adapter(weights.frozen(parent), rank=settings.lora_rank, alpha=settings.lora_alpha, seed=0)


def _stack(parent: Version, tasks: int) -> PreTrainedModel:
    settings: Any = settings_for("o_lora", "cit", {})
    rank = settings.lora_rank * tasks
    return weights.new_adapter(weights.frozen(parent), rank=rank, alpha=settings.lora_alpha * tasks, seed=0)


def _experts(parent: Version, tasks: int) -> PreTrainedModel:
    settings: Any = settings_for("elm", "cit", {})

    def add(pool: Any, model: PreTrainedModel) -> None:
        width = int(model.config.get_text_config().hidden_size)
        pool.router.add(torch.randn(settings.library, width), torch.randn(settings.others, width))

    return _pool(parent, tasks, settings, {"kind": "nearest", "examples": []}, add)


def _attention(parent: Version, tasks: int) -> PreTrainedModel:
    settings: Any = settings_for("sapt", "cit", {})
    router = {"kind": "attention", "hidden": settings.hidden, "temperature": settings.temperature}
    return _pool(parent, tasks, settings, router, lambda pool, _: pool.router.add_key(seed=len(pool)))


def _pool(
    parent: Version, tasks: int, settings: Any, router: dict[str, Any], add: Callable[[Any, PreTrainedModel], None]
) -> PreTrainedModel:
    from learners.parts.extensions.adapter_pool import Kind, layers

    model = weights.frozen(parent)
    at = layers(model, settings.lora_targets)
    pool = Kind(model.config, layers=at, rank=settings.lora_rank, alpha=settings.lora_alpha, slots=[], router=router)
    for number in range(tasks):
        pool.grow(1, seed=number)
        add(pool, model)
    pool.attach(model)
    return model


def _prompts(parent: Version, tasks: int) -> PreTrainedModel:
    from learners.parts.extensions.prompt_chain import Kind

    settings: Any = settings_for("progressive_prompts", "cit", {})
    model = weights.frozen(parent)
    chain = Kind(extensions.plain(model).config, tokens=[], chain=settings.chain)
    embeddings: Any = model.get_input_embeddings().weight  # pyright: ignore
    for number in range(tasks):
        chain.add_task(settings.prompt_tokens, embeddings, torch.randn(embeddings.shape[1]), seed=number)
    chain.attach(model)
    return model


FORMS: Final[dict[str, Callable[[Version, int], PreTrainedModel]]] = {
    "merged": _merged,
    "adapter": _adapter,
    "stack": _stack,
    "experts": _experts,
    "attention": _attention,
    "prompts": _prompts,
}
"""Form -> its version: weights (`osf`, `llama_pro` or any export), one LoRA adapter (`replay`, `ewc`, ...), an adapter
that is a stack (`o_lora`), a pool with one slot a request (`elm`, `conpet`), a pool with all of them (`sapt`), and a
chain of prompts (`progressive_prompts`)."""
