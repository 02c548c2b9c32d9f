"""Prompt pool with teacher forcing: the model is frozen; each task brings keys and prompts of its own.

Yadav et al. 2023, Exploring Continual Learning for Code Generation Models (arXiv:2307.02435), PP-TF. While a task is
trained only its own pairs can be chosen, so later tasks never touch earlier ones; at inference all pairs compete and no
task is named. Loss: L + key_weight * mean(1 - cos(query, chosen key)). Without teacher forcing any pair of the pool
learns with every task, as in Wang et al. 2022 (arXiv:2112.08654), and earlier prompts drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources, Step
from learners.parts.likelihood import nats
from learners.parts.rows import learned

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]

_QUERY_ROWS = 32


class Settings(contract.Settings):
    """Prompt pool.

    Attributes:
        pairs: keys and prompts that a task brings.
        prompt_tokens: length of a prompt.
        chosen: prompts put before each request; settings of the first version of a lineage hold for all.
        key_weight: of the pull that brings chosen keys to the queries.
        teacher_forcing: only the task's own pairs learn.
    """

    learning_rate: float = Field(default=1e-2, gt=0)
    pairs: int = Field(default=20, ge=1)
    prompt_tokens: int = Field(default=8, ge=1)
    chosen: int = Field(default=4, ge=1)
    key_weight: float = Field(default=0.5, ge=0)
    teacher_forcing: bool = True


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with its pool and the pairs of this task; without an epoch nothing is added."""
    import torch

    from learners import weights
    from learners.parts import extensions
    from learners.parts.extensions.prompt_pool import Kind

    settings: Settings = sources.settings
    model = weights.frozen(sources.parent)
    inner = extensions.plain(model)
    pool = extensions.continued(sources.parent.extension, model, Kind)
    pool = pool or Kind(inner.config, pairs=[], tokens=settings.prompt_tokens, chosen=settings.chosen)
    if settings.epochs:
        rows = [torch.tensor([row["input_ids"]]) for row in material.rows[:_QUERY_ROWS]]  # pyright: ignore
        queries = torch.cat([pool.query(inner, ids, torch.ones_like(ids)) for ids in rows])
        pool.add_task(settings.pairs, inner.get_input_embeddings().weight, queries.mean(dim=0), seed=sources.seed)  # pyright: ignore
        if not settings.teacher_forcing:
            pool.requires_grad_(True).candidates = slice(None)
    if len(pool.keys):
        pool.attach(model)
    return model


def compose(run: Run) -> Recipe:
    """The likelihood behind the prompts, and the pull that brings chosen keys to the queries, a mean over rows."""
    import torch

    from learners.parts.extensions import attached
    from learners.parts.extensions.prompt_pool import Kind
    from learners.together import by_rows

    settings: Settings = run.settings
    pool = attached(run.model)
    if not isinstance(pool, Kind) or not settings.epochs:
        return Recipe()

    def read(model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
        found = nats(model, rows)
        return torch.cat([found, pool.pull[:, None].to(found)], dim=1)

    def loss(model: PreTrainedModel, step: Step) -> torch.Tensor:
        found = by_rows(partial(read, model), step.new)
        return found[:, :-1].sum() / learned(step.new).sum() + settings.key_weight * found[:, -1].mean()

    return Recipe(stage_loss=loss, whole=True)
