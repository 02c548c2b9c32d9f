"""O-LoRA: every task gets an adapter of its own, in a subspace orthogonal to those of the tasks before.

Wang et al. 2023 (arXiv:2310.14152): L + penalty_weight * sum over layers and earlier tasks of |A_i A_t^T| + norm_weight
* sum of the new factors' norms. Earlier adapters stay frozen and active, so no task is named at inference, and all of
them are saved as one adapter whose rank grows by `lora_rank` per version (`learners.parts.stack`). Not peft's `olora`,
which is an initialisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import LossTerm, Material, Recipe, Run, Sources

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]


class Settings(contract.Settings):
    """O-LoRA.

    Attributes:
        lora_rank, lora_alpha: of each task's adapter; the paper's.
        full_weights: has no part in it; what learns is an adapter.
        penalty_weight: of the overlap with earlier adapters; 0 stacks adapters without a word between them.
        form: sum of absolute entries, as the released code has it, or of squared ones, as the paper writes it.
        norm_weight: of the Euclidean norms of the new factors; the released code sets it task by task, from 0 to 0.3.
            On the tiny model 0.1 left an earlier task at 1.18 nats instead of 2.12, and the new one at 0.09, not 0.03.
        most_rank: of the whole stack; vLLM serves up to 512.
    """

    lora_rank: int = Field(default=8, ge=1)
    lora_alpha: int = Field(default=32, ge=1)
    penalty_weight: float = Field(default=0.5, ge=0)
    form: Literal["l1", "squared"] = "l1"
    norm_weight: float = Field(default=0.0, ge=0)
    most_rank: int = Field(default=512, ge=1)


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """A new adapter beside the parent's frozen one; where the parent has none, the first.

    Raises:
        InvalidInput: the stack would outgrow `most_rank`.
    """
    from learners import weights
    from learners.parts import stack

    settings: Settings = sources.settings
    rank, alpha = settings.lora_rank, settings.lora_alpha
    model = weights.trainable(
        sources.parent, rank=rank, alpha=alpha, full_weights=False, seed=sources.seed, targets=settings.lora_targets
    )
    if sources.parent.adapter is None or not settings.epochs:
        return model
    if (grown := stack.rank(model) + rank) > settings.most_rank:  # pyright: ignore
        raise InvalidInput(
            f"the stack of {sources.parent.spec.id!r} would grow to rank {grown}, above most_rank="
            f"{settings.most_rank}; export it merged and start from that, or continue it with another method"
        )
    return stack.stacked(model, rank=rank, alpha=alpha, seed=sources.seed)  # pyright: ignore


def compose(run: Run) -> Recipe:
    """Penalise overlap with what is frozen, and size; afterwards make one adapter of the stack."""
    from learners.parts import stack

    settings: Settings = run.settings
    size: tuple[LossTerm, ...] = (stack.Size(settings.norm_weight),) if settings.norm_weight else ()
    if not stack.is_stacked(run.model):
        return Recipe(losses=size)
    overlap = stack.Overlap(run.model, settings.penalty_weight, squared=settings.form == "squared")  # pyright: ignore
    return Recipe(losses=(overlap, *size) if settings.penalty_weight else size, finish=stack.concatenated)  # pyright: ignore
