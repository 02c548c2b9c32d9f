"""RCL: the reasons are learned before the answer, so that a task teaches how it is solved and not its labels alone.

Wang et al. 2023, TRACE (arXiv:2310.06762), reasoning-augmented continual learning. Reasons come with the records or are
written by the parent, and count where they end in the record's answer (`learners.parts.rationales`); a record without
is learned as it is. At inference the model reasons before it answers, so answers get longer.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import rationales
from learners.parts.rows import Row
from learners.parts.views import chat_rows, rehearsal_rows

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """RCL.

    Attributes:
        rationale_tokens: longest rationale that the parent writes, its answer included, for a record that brings none;
            0: none is written, and without records that bring one it is plain fine-tuning.
        rationales: most records that the parent writes one for; the paper trains on 500 of each task.
        replay_share: part of each batch that is rehearsed beside the new rows.
    """

    rationale_tokens: int = Field(default=160, ge=0)
    rationales: int = Field(default=500, ge=0)
    replay_share: float = Field(default=0.0, ge=0, lt=1)


def prepare(sources: Sources) -> Material:
    """Put reasons before the answers."""
    settings: Settings = sources.settings
    material = sources.material()
    teacher = rationales.parent(sources, settings.rationale_tokens if settings.epochs else 0)
    known = rationales.read(sources.memory_folder)
    known = rationales.gathered(material.records, known, teacher, lambda _: rationales.REQUEST, settings.rationales)
    rationales.write(sources.memory_folder, known)
    rows: list[Row] = []
    for record in material.records:
        if (why := known.get(record.id)) is None:
            rows += rehearsal_rows(record, sources.tokenizer, settings.max_length_tokens)
            continue
        *turns, answer = record.content["messages"]
        target = {**answer, "content": rationales.reasoned(why, str(answer["content"]))}
        rows += chat_rows([*turns, target], sources.tokenizer, settings.max_length_tokens)
    return replace(material, rows=rows)


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage but rehearsal, where it is asked for."""
    return Recipe(replay_share=run.settings.replay_share, joined=True)
