"""The optimum of the regularised objective as a target: how far a preference should move, and how far off it is.

The optimum of reward under a divergence from the parent is pi*(y|x) = pi_parent(y|x) exp(Adv(x, y) / beta) / Z(x).
Among the two answers of a pair Z cancels, and pi* says that their margin grows by 2 r / beta, where r is the pair's
reward. Owns that target, its misfit and the rows that carry it; used by the methods that fit it instead of a ranking.

Source: Zhang et al. 2024, COPR: Continual Human Preference Learning via Optimal Policy Regularization
(arXiv:2402.14228), for pairs (J = 2).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from learners.parts import pairs, tasks
from learners.records import Record

if TYPE_CHECKING:
    import torch

    from learners.methods.contract import Material, Sources

__all__ = ["NEW", "TargetPair", "misfit", "shift_nats", "stored", "targeted"]

NEW = -1
"""The task of what is learned now; earlier ones are numbered by `learners.parts.tasks`."""


class TargetPair(pairs.ReferredPair):
    """A pair, the margin that its answers should have, in nats, and the task it belongs to."""

    target_nats: float
    task: int


def shift_nats(record: Record, beta: float, seed: int) -> float:
    """How far a pair's margin should grow: 2 r / beta, with the moderate reward r ~ Beta(J - 1, 2) for J = 2.

    One draw for each record and seed, 1/3 on average.
    """
    draw = random.Random(f"{seed}:{record.id}:reward")  # noqa: S311 - sampling, not secrecy
    return 2 * draw.betavariate(1, 2) / beta


def misfit(margins_nats: torch.Tensor, targets_nats: torch.Tensor) -> torch.Tensor:
    """Mean over both answers of (log P - log P*)^2, of each pair; P is the policy among the two answers alone.

    With a margin m, the chosen answer has the probability sigmoid(m) and the other one sigmoid(-m).
    """
    from torch.nn.functional import logsigmoid

    chosen = logsigmoid(margins_nats) - logsigmoid(targets_nats)
    rejected = logsigmoid(-margins_nats) - logsigmoid(-targets_nats)
    return (chosen.square() + rejected.square()) / 2


def stored(sources: Sources) -> dict[str, pairs.Reference]:
    """References of the remembered pairs that were fitted to an optimum when they were learned, by record id."""
    return {name: one for name, one in pairs.read(sources.memory_folder).items() if one.shift_nats is not None}


def targeted(sources: Sources, stored: Mapping[str, pairs.Reference]) -> Material:
    """New preferences with their targets, followed by the remembered ones with theirs; the references are kept.

    Args:
        stored: references that have a shift. A remembered pair without one stays where the parent has it.
    """
    material = sources.material()
    new = [
        one._replace(reference=one.reference.model_copy(update={"shift_nats": _shift(sources, one.record)}))
        for one in pairs.referred(sources, material.records, {})
    ]
    learned = {record.id for record in material.records}
    old = pairs.referred(sources, pairs.remembered(sources, learned), stored)
    pairs.keep(sources, new, old)
    known = tasks.read(sources.memory_folder)
    rows = [_row(one, NEW) for one in new] + [_row(one, known.get(one.record.id, 0)) for one in old]
    return replace(material, rows=rows, remembered=pairs.other_rows(sources))


def _shift(sources: Sources, record: Record) -> float:
    return shift_nats(record, sources.settings.beta, sources.seed)


def _row(one: pairs.Referred, task: int) -> TargetPair:
    target = one.reference.margin_nats + (one.reference.shift_nats or 0.0)
    return {**one.pair(), "target_nats": target, "task": task}
