"""What a method is: settings, and a function that composes parts for one run.

Owns `Settings` (every method's settings extend it), `Run` (what a method sees) and `Recipe` (what it answers). A method
is a module with two names,

    class Settings(contract.Settings): ...            its own keys, frozen, unknown ones refused
    def compose(run: Run) -> Recipe: ...              called once, before the first step, with the model loaded

and a line in `learners.methods.METHODS`, or an entry point of group `cld.methods`. Imports no torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learners.parts.memory import ReplayMemory
from learners.parts.views import Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["LossTerm", "Recipe", "Run", "Settings"]


class Settings(BaseModel):
    """What every method can be told.

    Attributes:
        learning_rate: peak of a linear schedule with 10 % warm-up.
        epochs: passes over the new records; 0 leaves the weights untouched.
        batch_size: new records in a step.
        max_length_tokens: longer texts are split, longer answers cut.
        lora_rank, lora_alpha: of a new adapter; a parent's adapter is continued with its own.
        full_weights: train every weight and write a full-weight version, instead of an adapter.
        memory_records: size of the replay memory that the new version keeps.
        checkpoint_steps: steps between two checkpoints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(default=5e-4, gt=0)
    epochs: int = Field(default=3, ge=0)
    batch_size: int = Field(default=8, ge=1)
    max_length_tokens: int = Field(default=512, ge=8)
    lora_rank: int = Field(default=16, ge=1)
    lora_alpha: int = Field(default=32, ge=1)
    full_weights: bool = False
    memory_records: int = Field(default=256, ge=0)
    checkpoint_steps: int = Field(default=25, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for key in given:
                if key not in cls.model_fields:
                    raise ValueError(_unknown(str(key), list(cls.model_fields)))
        return given


def _unknown(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return f"unknown setting {key!r}; did you mean {near[0]!r}? known settings: {', '.join(sorted(known))}"


class LossTerm(Protocol):
    """Something added to the stage's loss at every step."""

    def __call__(self, model: PreTrainedModel, rehearsal: Mapping[str, torch.Tensor] | None) -> torch.Tensor:
        """Return the weighted term, a scalar.

        Args:
            model: the model being trained.
            rehearsal: the step's rehearsed rows (input_ids, labels, attention_mask; each rows x tokens), None when
                it has none. They are no part of the stage's own loss; a term says what they are worth.
        """
        ...


@dataclass(frozen=True)
class Run:
    """What a method sees of the run it is composed for.

    Attributes:
        settings: this method's validated settings.
        model: weights of the parent, wrapped for training; gradients are on for what will be trained.
        new: supervised rows of the new records (of a preference: prompt and chosen answer).
        remembered: rows of the parent's replay memory.
        memory: the parent's replay memory itself.
        inherited: the parent's memory folder: read method state from here.
        memory_folder: the new version's memory folder, a copy of `inherited`: write method state here.
        seed: of everything random.
    """

    settings: Any
    model: PreTrainedModel
    new: Sequence[Row]
    remembered: Sequence[Row]
    memory: ReplayMemory
    inherited: Path
    memory_folder: Path
    seed: int


@dataclass(frozen=True)
class Recipe:
    """What a method does to the one trainer; every part is optional.

    Attributes:
        replay_share: part of each batch that is rehearsed from `Run.remembered`, on top of the new rows.
        losses: terms added to the stage's loss.
        after_step: called with the model after every optimizer step, e.g. to scale or project what the step changed.
        after_training: called once when the last step is done, e.g. to write method state into `Run.memory_folder`.
        trainer: arguments of the stage's trl configuration, e.g. `beta` of DPO.
    """

    replay_share: float = 0.0
    losses: tuple[LossTerm, ...] = ()
    after_step: tuple[Callable[[PreTrainedModel], None], ...] = ()
    after_training: tuple[Callable[[], None], ...] = ()
    trainer: Mapping[str, Any] | None = None
