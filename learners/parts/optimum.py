"""The optimum of the regularised objective as a target: how far a preference should move, and how far off it is.

The optimum of reward under a divergence from the parent is pi*(y|x) = pi_parent(y|x) exp(Adv(x, y) / beta) / Z(x).
Among the two answers of a pair Z cancels, and pi* says that their margin grows by 2 r / beta, where r is the pair's
reward. Owns that target, its misfit and the rows that carry it; used by the methods that fit it instead of a ranking.

Log-probabilities are sums over an answer's tokens, as in the equations, or means, as in the authors' code: between
answers of unequal length a sum differs by more than any preference, and its misfit by the square of that.

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

__all__ = ["NEW", "TargetPair", "misfit", "scaled", "shift_nats", "stored", "targeted"]

NEW = -1
"""The task of what is learned now; earlier ones are numbered by `learners.parts.tasks`."""


class TargetPair(pairs.ReferredPair):
    """A pair, the margin that its answers should have, and the task it belongs to.

    The margin is one of log-probabilities times the scales: 1, or of means 1 over the number of an answer's tokens.
    """

    target_nats: float
    task: int
    chosen_scale: float
    rejected_scale: float


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


def scaled(
    batch: Mapping[str, torch.Tensor], chosen: torch.Tensor, rejected: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the answers of a batch of `TargetPair` as its targets count them."""
    return chosen * batch["chosen_scale"], rejected * batch["rejected_scale"]


def stored(sources: Sources) -> dict[str, pairs.Reference]:
    """References of the remembered pairs that were fitted to an optimum when they were learned, by record id."""
    return {name: one for name, one in pairs.read(sources.memory_folder).items() if one.shift_nats is not None}


def targeted(sources: Sources, stored: Mapping[str, pairs.Reference]) -> Material:
    """New preferences with their targets, followed by the remembered ones with theirs; the references are kept.

    Args:
        stored: references that have a shift. A remembered pair without one stays where the parent has it.
    """
    material, unit = sources.material(), {"per_token": sources.settings.per_token}
    new = [
        one.told(unit | {"shift_nats": _shift(sources, one.record)})
        for one in pairs.referred(sources, material.records, {})
    ]
    learned = {record.id for record in material.records}
    old = [
        one if one.record.id in stored else one.told(unit)
        for one in pairs.referred(sources, pairs.remembered(sources, learned), stored)
    ]
    pairs.keep(sources, new, old)
    known = tasks.read(sources.memory_folder)
    rows = [_row(one, NEW) for one in new] + [_row(one, known.get(one.record.id, 0)) for one in old]
    return replace(material, rows=rows, remembered=pairs.other_rows(sources))


def _shift(sources: Sources, record: Record) -> float:
    return shift_nats(record, sources.settings.beta, sources.seed)


def _row(one: pairs.Referred, task: int) -> TargetPair:
    own, lengths = one.reference, (len(one.row["chosen_ids"]), len(one.row["rejected_ids"]))
    chosen, rejected = (1 / length if own.per_token else 1.0 for length in lengths)
    target = own.chosen_nats * chosen - own.rejected_nats * rejected + (own.shift_nats or 0.0)
    return {**one.pair(), "target_nats": target, "task": task, "chosen_scale": chosen, "rejected_scale": rejected}
