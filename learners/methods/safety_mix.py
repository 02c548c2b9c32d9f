"""A share of safety examples in every batch, so that what was refused before is still refused.

Qi et al. 2023, Fine-tuning Aligned Language Models Compromises Safety (arXiv:2310.03693): even harmless data undo an
alignment, and examples of it that are mixed in bring much of it back. Safety examples are what the sources of that name
hold, and every preference that the replay memory kept from an alignment stage; of a preference the chosen answer.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.rows import Row
from learners.parts.views import rehearsal_rows
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """A share of safety examples.

    Attributes:
        safety_share: of each batch, on top of the new rows; 0 is plain fine-tuning.
        safety_sources: names of the sources whose records are safety examples: they are mixed in again and again,
            not learned once like the others.
    """

    safety_share: float = Field(default=0.1, ge=0, lt=1)
    safety_sources: tuple[str, ...] = ()


def prepare(sources: Sources) -> Material:
    """Part the safety examples from what is new, and rehearse those alone.

    Raises:
        InvalidInput: there is no safety example.
    """
    settings: Settings = sources.settings
    if not settings.safety_share:
        return sources.material()
    examples = [one for one in (*sources.records, *sources.others) if one.source in settings.safety_sources]
    material = sources.material([one for one in sources.records if one.source not in settings.safety_sources])
    remembered = [item.record for item in sources.memory.items if item.stage == "ca"]
    rows = _rows([*examples, *remembered], sources)
    if not rows:
        raise InvalidInput(
            "no safety example to mix in: the replay memory holds no preference of an alignment stage, and the "
            f"selection no record of safety_sources={list(settings.safety_sources)!r}; name a source that holds some"
        )
    return replace(material, records=[*material.records, *examples], remembered=rows)


def _rows(records: list[Record], sources: Sources) -> list[Row]:
    limit = sources.settings.max_length_tokens
    return [row for one in records for row in rehearsal_rows(one, sources.tokenizer, limit)]


def compose(run: Run) -> Recipe:
    """Learn them in the same batches, with the same loss."""
    return Recipe(replay_share=run.settings.safety_share, joined=True)
