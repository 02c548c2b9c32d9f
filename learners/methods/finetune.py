"""Plain fine-tuning: nothing is done against forgetting. The baseline that every other method is compared with.

Loss: the mean negative log-likelihood of the labelled tokens of a batch, in nats; of pairs, judged answers and prompts
what trl's trainer of that form computes. What learns is a LoRA adapter, W x + (alpha / r) B A x with B = 0 at first (Hu
et al. 2022, arXiv:2106.09685, section 4.1), or every weight. A parent's adapter is trained further, so that a version
has at most one, and AdamW starts with empty states in every stage.
"""

from __future__ import annotations

from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts.source_order import SourceOrder, by_source

__all__ = ["Settings", "compose"]


class Settings(contract.Settings):
    """Plain fine-tuning.

    Attributes:
        source_order: which source is learned when, all its epochs at once, see `learners.parts.source_order`: `mixed`
            shuffles all together, `random` draws an order, `similar` follows each with the one most like it.
    """

    source_order: SourceOrder = "mixed"


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage."""
    return Recipe(plan=by_source(run, run.settings.source_order))
