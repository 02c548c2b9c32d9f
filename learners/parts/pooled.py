"""A pool of adapters in a training run: the parent with new slots, the loss, and queries of what is learned.

Owns what the methods with a pool share; each brings a router of its own (`learners.parts.extensions.routers`) and says
what it learns from. The loss routes each request by its prompt alone, and never by a label.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from learners.failures import InvalidInput
from learners.parts import row_numbers, tasks
from learners.parts.likelihood import negative_log_likelihood
from learners.parts.penalties import new_likelihood
from learners.parts.rows import IGNORED, Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import LossTerm, Recipe, Run, Settings, Sources, Step
    from learners.parts.extensions.adapter_pool import Kind
    from learners.parts.extensions.routers import Router

    _Router = TypeVar("_Router", bound=Router)

__all__ = ["examples", "grown", "learned", "likelihood", "pool_of"]


def grown(model: PreTrainedModel, sources: Sources, router: Mapping[str, Any], *, slots: int = 1) -> PreTrainedModel:
    """The model with the parent's pool and new slots that learn; without an epoch no slot is added.

    Args:
        model: the parent, frozen (`learners.weights.frozen`).
        slots: how many are added.
        router: of a new pool, see `learners.parts.extensions.routers.router_of`; a parent's pool keeps its own sizes.

    Raises:
        InvalidInput: the parent's extension is no pool, or one with another router.
    """
    import torch

    from learners.parts import extensions
    from learners.parts.extensions.adapter_pool import Kind, layers

    settings: Settings = sources.settings
    inner = extensions.plain(model)
    pool = extensions.continued(sources.parent.extension, model, Kind)
    if pool is None:
        torch.manual_seed(sources.seed)  # of a router that has random weights from the first
        at = layers(inner, settings.lora_targets)
        pool = Kind(
            inner.config, layers=at, rank=settings.lora_rank, alpha=settings.lora_alpha, slots=[], router=router
        )
    elif pool.router.kind != router["kind"]:
        raise InvalidInput(
            f"the parent's pool of adapters is routed by {pool.router.kind!r}, and this method routes by "
            f"{router['kind']!r}; continue it with the method that made it, {sources.parent.spec.method!r} or one like "
            "it, or start from a version without an extension"
        )
    if settings.epochs:
        pool.grow(slots, seed=sources.seed)
    if len(pool):
        pool.attach(model)
    return model


def pool_of(run: Run, router: type[_Router]) -> tuple[Kind, _Router] | None:
    """The pool that learns, and its router; None where nothing does."""
    from learners.parts.extensions import attached
    from learners.parts.extensions.adapter_pool import Kind

    pool = attached(run.model) if run.settings.epochs else None
    return (pool, pool.router) if isinstance(pool, Kind) and isinstance(pool.router, router) else None


def likelihood(run: Run, pool: Kind) -> LossTerm:
    """The stage's loss with every row routed by its prompt."""
    from learners.parts.extensions import plain
    from learners.parts.extensions.adapter_pool import prompt_tokens

    inner = plain(run.model)

    def loss(model: PreTrainedModel, step: Step) -> torch.Tensor:
        rows = step.new
        pool.route(inner, rows["input_ids"], prompt_tokens(rows["labels"], rows["attention_mask"]))
        return negative_log_likelihood(model, rows)

    return loss


def learned(run: Run, pool: Kind, *after: Callable[[], None], losses: tuple[LossTerm, ...] = ()) -> Recipe:
    """The stage's loss of rows that are routed or have one slot, and the task that was learned written down."""
    from learners.methods.contract import Recipe

    loss = likelihood(run, pool) if pool.forced is None else new_likelihood
    return Recipe(stage_loss=loss, losses=losses, after_training=(partial(tasks.write, run), *after))


def examples(run: Run, router: Router, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries (some x width) of at most `count` new rows, and of `Settings.others` that the model below answers."""
    below = _of_others(run, run.settings.others)
    return _queries(run, router, _some(run, run.new, count)), _queries(run, router, below)


def _queries(run: Run, router: Router, rows: Sequence[Row]) -> torch.Tensor:
    """What the router knows of each row's prompt (rows x width), on the model below the pool.

    A text has no prompt: it is known by all of it, which is what questions about it are most like.
    """
    import torch

    from learners.parts.extensions import plain
    from learners.parts.extensions.adapter_pool import prompt_tokens

    inner = plain(run.model)
    found: list[torch.Tensor] = []
    for row in rows:
        ids, labels = (torch.tensor([row[name]], device=inner.device) for name in ("input_ids", "labels"))
        told = labels == IGNORED
        found.append(router.query(inner, ids, prompt_tokens(labels, torch.ones_like(ids)) if told.any() else ~told))
    return torch.cat(found) if found else torch.zeros(0, int(inner.config.hidden_size), device=inner.device)


def _some(run: Run, rows: Sequence[Row], count: int) -> list[Row]:
    """At most `count` of the rows, drawn by the run's seed, in their order."""
    draw = random.Random(f"{run.seed}:examples")  # noqa: S311 - sampling, not secrecy
    return [rows[place] for place in sorted(draw.sample(range(len(rows)), min(count, len(rows))))]


def _of_others(run: Run, count: int) -> list[Row]:
    """Some remembered rows that no slot has learned: the model below answers them by itself."""
    known = tasks.read(run.memory_folder)
    return _some(
        run,
        [
            run.remembered[row]
            for item, rows in row_numbers.of_memory(run)
            if item.record.id not in known
            for row in rows
        ],
        count,
    )
