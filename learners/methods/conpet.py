"""ConPET: earlier tasks fill half of every batch, and a version costs as many steps however many tasks there were.

Song et al. 2023, ConPET: Continual Parameter-Efficient Tuning for Large Language Models (arXiv:2309.14763), for a model
that generates, without heads. `static` trains one adapter further. `dynamic` gives each version an adapter of its own,
and a selector that is fitted to stored prompts of all versions chooses one of them for each request.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Reads, Recipe, Run, Sources
from learners.parts import keep, pooled, tasks
from learners.parts.mix import Batch, Order, plan_batches

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "reads", "wrap"]

_STORED = "conpet"


class Settings(contract.Settings):
    """ConPET.

    Attributes:
        mode: one adapter and balanced batches, or an adapter for each version and a selector.
        replay_share: of every batch that is drawn from earlier tasks, each as often as any other; in `static`.
        most_steps: of a version, whatever it learns; in `static`.
        stored: most prompts of a version that the selector is fitted to; in `dynamic`, as what follows.
        others: most prompts of the replay memory that no version's adapter learned; the model below answers them.
    """

    mode: Literal["static", "dynamic"] = "static"
    replay_share: float = Field(default=0.5, ge=0, lt=1)
    most_steps: int = Field(default=500, ge=1)
    stored: int = Field(default=100, ge=2)
    others: int = Field(default=100, ge=0)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """One adapter, or the parent, frozen, with its adapters and a new one."""
    from learners import weights

    settings: Settings = sources.settings
    if settings.mode == "dynamic":
        return pooled.grown(weights.frozen(sources.parent), sources, {"kind": "selector", "below": False})
    return weights.trainable_as_told(sources.parent, settings, seed=sources.seed)


def compose(run: Run) -> Recipe:
    """Balance the batches; or fit the selector, and train the new adapter alone."""
    settings: Settings = run.settings
    if settings.mode == "static":
        earlier = [[row for _, rows in items for row in rows] for items in tasks.remembered_by_task(run).values()]
        plan = partial(_balanced, earlier, settings.replay_share, settings.most_steps)
        return Recipe(plan=plan, joined=True, after_training=(partial(tasks.write, run),))
    return _selected(run)


def reads(settings: Settings, new: int, remembered: int) -> Reads:
    """The rows that a run goes through; see `learners.methods.contract`."""
    learned = new * settings.epochs
    if settings.mode == "dynamic":
        return Reads(learned, 0)
    fresh, old = _shares(settings.batch_size, settings.replay_share if remembered else 0.0)
    learned = min(learned, fresh * settings.most_steps)
    return Reads(learned, learned * old / fresh)


def _shares(batch_size: int, replay_share: float) -> tuple[int, int]:
    """New rows and rows of earlier tasks in a batch; where there are any, at least one of each."""
    old = max(1, round(batch_size * replay_share)) if replay_share else 0
    return max(1, batch_size - old), old


def _balanced(earlier: Sequence[Sequence[int]], replay_share: float, most_steps: int, order: Order) -> list[Batch]:
    """Batches of new rows and, in each the same share, rows of earlier tasks, drawn task by task."""
    past = [rows for rows in earlier if rows] if replay_share else []
    new, old = _shares(order.batch_size, replay_share if past else 0.0)
    draw = random.Random(f"{order.seed}:old")  # noqa: S311 - sampling, not secrecy
    planned = plan_batches(order.lengths, new, order.epochs, order.seed)[:most_steps]
    return [
        Batch(batch.new, tuple(draw.choice(draw.choice(past)) for _ in range(round(len(batch.new) * old / new))))
        for batch in planned
    ]


def _selected(run: Run) -> Recipe:
    """Fit the selector, and train the new adapter alone."""
    from learners.parts.extensions.routers.selector import Chooser

    settings: Settings = run.settings
    found = pooled.pool_of(run, Chooser)
    if found is None:
        return Recipe()
    pool, router = found
    pool.forced = len(pool) - 1
    states = _stored(run, len(pool) - 1)
    ours, below = pooled.examples(run, router, settings.stored)
    router.fit([below, *states, ours])
    kept = {f"states.{number}": value for number, value in enumerate([*states, ours])}
    return pooled.learned(run, pool, partial(keep.write, run.memory_folder, _STORED, kept))


def _stored(run: Run, slots: int) -> list[torch.Tensor]:
    """Stored prompts of every slot so far, as the selector reads them."""
    found = keep.read(run.memory_folder, _STORED) or {}
    if len(found) != slots:
        raise InvalidInput(
            f"version {run.parent.spec.id!r} has {slots} adapters, and {len(found)} of them have stored prompts in its "
            f"memory ({_STORED}.safetensors), so the selector cannot be fitted; start from a version without a pool"
        )
    return [found[f"states.{number}"].to(run.model.device) for number in range(slots)]
