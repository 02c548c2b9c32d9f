"""Elastic weight consolidation: weights that mattered before are held near their old values.

Loss: L + (lambda / 2) * sum_i F_i (theta_i - theta*_i)^2, equation 3 of Kirkpatrick et al. 2017 (arXiv:1612.00796).
theta* is the parent; F is its online Fisher (Schwarz et al. 2018), estimated on the replay memory where the parent has
none, and afterwards merged with that of the new records: F = decay * F + F_new, scaled to mean 1, so that lambda means
the same for models of every size. It is the empirical Fisher, squared per sequence. Of an adapter the factors A and B
are anchored, each by itself, and not their product.
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts import estimate, penalties
from learners.parts.source_order import SourceOrder, by_source

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Elastic weight consolidation.

    Attributes:
        penalty_weight: lambda, for a Fisher scaled to mean 1; 0 is plain fine-tuning.
        fisher_rows: most rows the Fisher is estimated on.
        fisher_decay: how much of the old Fisher stays when the new one is merged in.
        source_order: which source is learned when, all its epochs at once, see `learners.parts.source_order`: `mixed`
            shuffles all together, `random` draws an order, `similar` follows each with the one most like it.
    """

    penalty_weight: float = Field(default=1.0, ge=0)
    fisher_rows: int = Field(default=64, ge=1)
    fisher_decay: float = Field(default=0.95, ge=0, le=1)
    source_order: SourceOrder = "mixed"


def compose(run: Run) -> Recipe:
    """Penalise drift from the parent; afterwards merge the Fisher of the new records into the memory."""
    settings: Settings = run.settings
    fisher = estimate.read_fisher(run.memory_folder, run.model)
    if fisher is None:
        fisher = estimate.diagonal_fisher(run.model, run.remembered[: settings.fisher_rows])
    past = fisher

    def write() -> None:
        present = estimate.diagonal_fisher(run.model, run.new[: settings.fisher_rows])
        estimate.write_fisher(run.memory_folder, estimate.merged(past, present, settings.fisher_decay))

    term = penalties.AnchoredQuadratic(fisher, penalties.trainable_copy(run.model), settings.penalty_weight)
    return Recipe(
        plan=by_source(run, settings.source_order),
        losses=(term,) if settings.penalty_weight else (),
        after_training=(write,),
    )
