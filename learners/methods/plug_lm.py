"""PlugLM: what is learned is put into a memory beside the frozen model, as passages that its upper layers read.

Cheng et al. 2023, Decouple Knowledge from Parameters for Plug-and-play Language Modeling (arXiv:2305.11564). There an
encoder is pre-trained with its memory; here a decoder that knows none gets readers (`learners.parts.extensions.memory`)
which learn beside it. Every version adds the passages of what it learns. With `readers_learn` off nothing else changes,
which is the paper's adaptation: knowledge comes and goes with its passages, and no step is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.mix import no_steps
from learners.parts.rows import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from learners.parts.extensions.memory import Kind

__all__ = ["Settings", "compose", "wrap"]


class Settings(contract.Settings):
    """A pluggable memory.

    Attributes:
        full_weights: has no part in it; the model is frozen.
        readers: upper layers that read; those of the first version of a lineage hold for all, as do the two below.
        neighbours: passages that a token reads.
        key_width: of queries and keys.
        passage_tokens: longest passage.
        readers_learn: whether the readers learn with the new passages in the memory, or these are only put into it.
    """

    readers: int = Field(default=2, ge=1)
    neighbours: int = Field(default=5, ge=1)
    key_width: int = Field(default=128, ge=1)
    passage_tokens: int = Field(default=32, ge=1)
    readers_learn: bool = True


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with its memory and the new passages in it.

    Raises:
        InvalidInput: the readers are to stay as they are, and the parent has none.
    """
    import torch

    from learners import weights
    from learners.parts import extensions
    from learners.parts.extensions.memory import Kind

    settings: Settings = sources.settings
    model = weights.frozen(sources.parent)
    memory = extensions.continued(sources.parent.extension, model, Kind)
    if memory is None:
        if not settings.readers_learn:
            raise InvalidInput(
                f"version {sources.parent.spec.id!r} has no readers of a memory yet, so passages alone would never be "
                "read; train one version with readers_learn = true first"
            )
        torch.manual_seed(sources.seed)
        memory = _new(extensions.plain(model), settings)
    if settings.epochs:
        _add(memory, cast("Sequence[Row]", material.rows), settings.passage_tokens)
    memory.requires_grad_(True).attach(model)
    return model


def _new(model: PreTrainedModel, settings: Settings) -> Kind:
    from learners.parts.extensions.memory import Kind

    count = int(model.config.num_hidden_layers)
    layers = list(range(max(0, count - settings.readers), count))
    return Kind(
        model.config, layers=layers, neighbours=settings.neighbours, key_width=settings.key_width, passages=[0, 0]
    )


def _add(memory: Kind, rows: Sequence[Row], longest: int) -> None:
    """Cut rows into passages, and put those into the memory that it does not hold yet."""
    texts = [row["input_ids"] for row in rows]
    cut = [text[start : start + longest] for text in texts for start in range(0, len(text), longest)]
    memory.plug([*dict.fromkeys(map(tuple, [*memory.plugged(), *cut]))])


def compose(run: Run) -> Recipe:
    """The readers learn as the stage says; or no step is taken."""
    settings: Settings = run.settings
    return Recipe() if settings.readers_learn else Recipe(plan=no_steps)
