"""What learns, how, and what it rehearses: [model], [training] with its stages, [replay]."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from agent.config.section import Section

__all__ = ["ForgetTraining", "Model", "Replay", "StageTraining", "TextTraining", "Training"]


class Model(Section):
    """The model that learns. Changing it needs a new data root: versions grow from one base."""

    base: str = Field(
        default="smollm2-135m-instruct",
        min_length=1,
        description="A shipped model's name, or a folder in Hugging Face format with safetensors weights; "
        "relative to the data root unless absolute.",
    )


class StageTraining(Section):
    """Settings of one stage."""

    learning_rate: float = Field(default=5e-4, gt=0, le=0.1, description="Peak learning rate.")
    epochs: int = Field(default=3, ge=1, le=100, description="Passes over the selected records.")
    batch_size: int = Field(default=4, ge=1, le=4096, description="Examples per optimizer step.")
    max_length_tokens: int = Field(default=512, ge=16, description="Longer examples are cut to this length.")
    replay_share: float = Field(
        default=0.3, ge=0, le=0.9, description="Share of each batch that comes from the replay memory."
    )
    replay_weight: float = Field(
        default=0.5, ge=0, le=10, description="Weight of the rehearsed part in the loss, next to 1 for what is new."
    )


class TextTraining(StageTraining):
    """Settings of continual pre-training: those of a stage, and what only texts of several sources have."""

    source_order: Literal["mixed", "random", "similar"] = Field(
        default="mixed",
        description="Sources of a plan: shuffled together, or one after another, in random order or each followed by "
        "the one most like it, which favours what comes last. Methods `finetune`, `replay` and `ewc` have it.",
    )


class ForgetTraining(StageTraining):
    """Settings of forgetting: those of a stage, and what only methods of unlearning have."""

    fuse: bool = Field(
        default=False,
        description="Make one set of unlearning layers of all deletions, which each comes near to, in place of a set "
        "for each; all deletions must have asked for it. Method `eul` has it.",
    )


class Training(Section):
    """How versions are trained, whatever the stage."""

    lora_rank: int = Field(default=16, ge=1, le=1024, description="Rank of the LoRA adapter.")
    lora_alpha: int = Field(
        default=32, ge=1, le=4096, description="Scale of the adapter: its update counts alpha / rank."
    )
    lora_targets: Literal["auto", "attention", "mlp"] | tuple[str, ...] = Field(
        default="auto",
        description="Layers of a new adapter: all linear ones, those that attend, the others, or a list of their names "
        "in the model, e.g. ['q_proj', 'v_proj'].",
    )
    full_weights: bool = Field(default=False, description="Train all weights instead of an adapter.")
    packing: bool = Field(
        default=True,
        description="Read what the rows of a batch begin with in common once, and short rows in one sequence, where "
        "the model keeps rows apart, which is tried before the first step. Losses stay those of the rows alone.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Number format of the computation; weights that learn stay float32. `auto` is bfloat16 on a GPU "
        "that has it and float32 on a processor.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Compute activations a second time instead of keeping them: less memory, about a third more time.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of shuffling and sampling.")
    cpt: TextTraining = Field(
        default=TextTraining(learning_rate=1.2e-3, epochs=6, batch_size=2, replay_share=0.25, replay_weight=0.5),
        description="Continual pre-training.",
    )
    cit: StageTraining = Field(
        default=StageTraining(learning_rate=7e-4, epochs=3, batch_size=3, replay_share=0.5, replay_weight=1.0),
        description="Continual instruction tuning.",
    )
    ca: StageTraining = Field(
        default=StageTraining(learning_rate=5e-4, epochs=2, batch_size=4, replay_share=0.4, replay_weight=1.0),
        description="Continual alignment.",
    )
    forget: ForgetTraining = Field(
        default=ForgetTraining(learning_rate=1e-3, epochs=100, batch_size=4, replay_share=0.75, replay_weight=4.0),
        description="Forgetting; what is rehearsed is what must be kept.",
    )

    @field_validator("cpt", "cit", "ca", "forget", mode="before")
    @classmethod
    def _keep_the_stage_defaults(cls, value: Any, info: ValidationInfo) -> Any:
        """A table that names one key keeps this stage's defaults for the others."""
        if not isinstance(value, dict) or info.field_name is None:
            return value
        return {**cls.model_fields[info.field_name].default.model_dump(), **value}


class Replay(Section):
    """What is rehearsed so that little is forgotten."""

    memory_records: int = Field(default=1000, ge=0, description="Most learned records that the memory keeps.")
    seed_prompts: bool = Field(
        default=True, description="Fill the first memory with the base model's own answers to shipped prompts."
    )
