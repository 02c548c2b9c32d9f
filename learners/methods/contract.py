"""What a method is: settings, and up to three functions that compose parts for one run.

Owns `Settings` (every method's settings extend it) and the records that pass between the train job and a method. A
method is a module,

    class Settings(contract.Settings): ...                    its own keys, frozen, unknown ones refused
    def compose(run: Run) -> Recipe: ...                      what is added to the one trainer; the model is loaded

and, only where it needs them, two functions that are called before:

    def prepare(sources: Sources) -> Material: ...            which records are learned, and as which rows
    def wrap(sources: Sources, material: Material) -> model   which weights learn; a LoRA adapter unless told

and, so that its cost can be foreseen from the rows at hand instead of the table's factor,

    def reads(settings, new: int, remembered: int) -> Reads   rows that a run goes through, of so many of each

and a line in `learners.methods.METHODS`, or an entry point of group `cld.methods`. Order of a job: prepare, wrap,
compose, train, `Recipe.after_training`, `Recipe.finish`, save. The next attempt after a kill runs prepare, wrap and
compose again and trains on from its checkpoint, so the three depend on their arguments alone. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learners.nearest import did_you_mean
from learners.parts.memory import ReplayMemory
from learners.parts.mix import Batch, Order
from learners.parts.rewards import Answer
from learners.parts.rows import AnyRow, Form, Row
from learners.parts.targets import LoraTargets
from learners.records import Record

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from learners.versions import Version

__all__ = ["LossTerm", "Material", "Moment", "Reads", "Recipe", "Run", "Settings", "Sources", "Step"]


class Settings(BaseModel):
    """What every method can be told.

    Attributes:
        learning_rate: peak of the schedule.
        epochs: passes over the new records; 0 leaves the weights untouched.
        batch_size: new records in a step.
        max_length_tokens: longer texts are split, longer answers cut.
        lora_rank, lora_alpha: of a new adapter; a parent's adapter is continued with its own.
        lora_targets: layers of a new adapter, see `learners.parts.targets`.
        full_weights: train every weight and write a full-weight version, instead of an adapter.
        packing: read what rows of a batch have in common once, and short rows in one sequence, where the model keeps
            them apart; losses are those of the rows alone, see `learners.parts.packing`.
        precision: number format of the computation; weights that learn stay float32. `auto` is bfloat16 on a GPU that
            has it and float32 on a processor, so that processors of different makes train the same version.
        gradient_checkpointing: compute a block's activations again instead of keeping them: less memory, more time.
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
    lora_targets: LoraTargets = "auto"
    full_weights: bool = False
    packing: bool = True
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
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
    hint = did_you_mean(key, known, "none is like it;")
    return f"unknown setting {key!r}; {hint} known settings: {', '.join(sorted(known))}"


class Reads(NamedTuple):
    """How many new rows and how many remembered ones go through the model in a run, each as often as it does."""

    new: float
    remembered: float


@dataclass(frozen=True)
class Material:
    """What a run learns from.

    Attributes:
        records: what is learned: listed in the version's data.jsonl and offered to its replay memory. Of stage
            `forget`, what is forgotten: listed in its forgotten.jsonl.
        rows: their training rows.
        form: of those rows; it decides which of trl's trainers runs.
        remembered: rows that may be rehearsed.
        tokenizer: that made them; the new version is saved with it.
        forgotten: ids of records that the new version's replay memory leaves out, remembered or learned, because they
            no longer hold or must be forgotten.
    """

    records: Sequence[Record]
    rows: Sequence[AnyRow]
    form: Form
    remembered: Sequence[Row]
    tokenizer: PreTrainedTokenizerBase
    forgotten: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sources:
    """What there is to learn from, before a row is made.

    Attributes:
        settings: this method's validated settings.
        records: those of the selection that the stage learns from; held-out sentences are cut out already.
        others: the rest of the selection, which the stage by itself leaves alone.
        retained: where `records` are to be forgotten, those that must not be, beside what is remembered.
        memory: the parent's replay memory.
        parent: the version that training starts from; its sibling folders are the other versions.
        tokenizer: the parent's.
        memory_folder: the new version's memory folder, a copy of the parent's: method state is read and written here.
        seed: of everything random.
        views: (records, tokenizer, form) -> their `Material`; without a form, what they are to the stage.
        model: () -> the parent in evaluation mode without gradients, to score or to generate with; read anew each time.
    """

    settings: Any
    records: Sequence[Record]
    others: Sequence[Record]
    retained: Sequence[Record]
    memory: ReplayMemory
    parent: Version
    tokenizer: PreTrainedTokenizerBase
    memory_folder: Path
    seed: int
    views: Callable[[Sequence[Record], PreTrainedTokenizerBase, Form | None], Material]
    model: Callable[[], PreTrainedModel]

    def material(
        self,
        records: Sequence[Record] | None = None,
        *,
        tokenizer: PreTrainedTokenizerBase | None = None,
        form: Form | None = None,
    ) -> Material:
        """Records as training rows.

        Args:
            records: None for all that the stage learns from, or with a `form` all of the selection that has it.
            tokenizer: None for the parent's.
            form: None for the stage's own; see `learners.parts.views.VIEWS`.

        Raises:
            learners.failures.InvalidInput: not one of them gives a row.
        """
        own = self.records if form is None else [*self.records, *self.others]
        return self.views(own if records is None else records, tokenizer or self.tokenizer, form)


@dataclass(frozen=True)
class Moment:
    """Where in the run a step is.

    Attributes:
        step: from 0.
        steps: of the whole run.
        learning_rate: that this step's update is made with.
    """

    step: int
    steps: int
    learning_rate: float


@dataclass(frozen=True)
class Step:
    """What a loss is computed from: the rows of one batch as tensors, and the moment.

    Attributes:
        new: input_ids, labels and attention_mask (each rows x tokens); of rows in another form, trl's batch of that
            form, which has an attention_mask, too.
        rehearsal: the rehearsed rows, in the form of `new`; None when there are none. They are no part of the stage's
            own loss, so a term says what they are worth; with `Recipe.joined` they are in `new`.
    """

    new: Mapping[str, torch.Tensor]
    rehearsal: Mapping[str, torch.Tensor] | None
    moment: Moment


class LossTerm(Protocol):
    """A loss: the stage's own, or something added to it at every step."""

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """Return the weighted term, a scalar."""
        ...


@dataclass(frozen=True)
class Run:
    """What a method sees of the run it is composed for.

    Attributes:
        settings: this method's validated settings.
        model: weights of the parent, wrapped for training; gradients are on for what will be trained.
        tokenizer: of the material.
        records: what will be learned.
        new: supervised rows of the new records (of a preference: prompt and chosen answer).
        remembered: rows of the parent's replay memory, or what `prepare` put in their place.
        memory: the parent's replay memory itself.
        parent: the version that training starts from.
        memory_folder: the new version's memory folder, a copy of the parent's: method state is read and written here.
        seed: of everything random.
    """

    settings: Any
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    records: Sequence[Record]
    new: Sequence[Row]
    remembered: Sequence[Row]
    memory: ReplayMemory
    parent: Version
    memory_folder: Path
    seed: int


@dataclass(frozen=True)
class Recipe:
    """What a method does to the one trainer; every part is optional.

    Attributes:
        replay_share: part of each batch that is rehearsed from `Run.remembered`, on top of the new rows.
        plan: who is in each batch, in place of that share; see `learners.parts.mix`.
        joined: rehearsed rows are learned like new ones, in one batch and one mean, instead of going to the terms.
        stage_loss: in place of the stage's own loss.
        whole: the loss or one of its terms is no mean over the labelled tokens of the new rows, so each of several
            processes has the whole batch, and reads it through `learners.together.by_rows` or all of it; else each has
            a part, whose loss is weighed by its tokens. Rows in other forms than `rows` are never parted.
        losses: terms added to the stage's loss; each is read and taken back by itself, before the stage reads.
        schedule: steps of the run -> step (from 0) -> factor of the learning rate; see `learners.parts.schedule`.
        before_step: called when gradients are there and clipped, before the optimizer uses them.
        after_step: called after every optimizer step, e.g. to scale or project what the step changed.
        state: tensors that change while training and are no weights; checkpoints keep them and a resumed run finds
            them here again.
        after_training: called once when the last step is done, e.g. to write method state into `Run.memory_folder`.
        finish: trained model -> the model that is saved, e.g. its merge; a `PeftModel` becomes an adapter version, a
            plain model a full-weight version.
        reward: what answers to prompts are worth, one number each; rows in the form `prompts` need it.
        credit: the policy, sampled answers in trl's words and their rewards -> the advantage of each token (answers x
            tokens), in place of the comparison of an answer with the others to its prompt.
        weigh: rewards and mean token log-probabilities of a step's answers -> of each, the factor of its advantage and
            the weight of its mean squared distance from the parent's log-probabilities; needs `num_iterations` above 1
            and a `beta` above 0.
        trainer: arguments of the form's trl configuration, e.g. `beta` of DPO.
    """

    replay_share: float = 0.0
    plan: Callable[[Order], list[Batch]] | None = None
    joined: bool = False
    stage_loss: LossTerm | None = None
    whole: bool = False
    losses: tuple[LossTerm, ...] = ()
    schedule: Callable[[int], Callable[[int], float]] | None = None
    before_step: tuple[Callable[[PreTrainedModel, Moment], None], ...] = ()
    after_step: tuple[Callable[[PreTrainedModel, Moment], None], ...] = ()
    state: dict[str, torch.Tensor] = field(default_factory=dict[str, "torch.Tensor"])
    after_training: tuple[Callable[[], None], ...] = ()
    finish: Callable[[PreTrainedModel], PreTrainedModel] | None = None
    reward: Callable[[Sequence[Answer]], list[float]] | None = None
    credit: Callable[[PreTrainedModel, Mapping[str, torch.Tensor], Sequence[float]], torch.Tensor] | None = None
    weigh: Callable[[Sequence[float], Sequence[float]], Sequence[tuple[float, float]]] | None = None
    trainer: Mapping[str, Any] | None = None
