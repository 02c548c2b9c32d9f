"""Tool fine-tuning: calls are learned from conversations that make them, on the assistant's turns alone.

Qin et al. 2023, ToolLLM (arXiv:2307.16789), with Kong et al. 2023, TPTU-v2 (arXiv:2311.11315), and the loop of Jin et
al. 2023, GeneGPT (arXiv:2304.09667): a turn that calls, what the tool answered, a turn that uses it. What a user says
and what a tool returned is read and not learned. Earlier conversations are rehearsed.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.rows import Row
from learners.parts.turns import Described, turn_rows
from learners.parts.views import rehearsal_rows
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Tool fine-tuning.

    Attributes:
        described: how a record's tools are put before its conversation. `text`, in a system turn, is also what the tool
            loop of cld says; `template` leaves it to the model's chat template, as servers with a `tools` argument do,
            where it knows tools.
        replay_share: of each batch, on top of the new rows.
    """

    described: Described = "text"
    replay_share: float = Field(default=0.25, ge=0, lt=1)


def prepare(sources: Sources) -> Material:
    """Every assistant's turn of every conversation as a row, of new and remembered ones."""
    settings: Settings = sources.settings
    material = sources.material()
    limit, tokenizer = settings.max_length_tokens, sources.tokenizer

    def rows_of(record: Record) -> list[Row]:
        return turn_rows(record, tokenizer, limit, described=settings.described)

    remembered = [
        row
        for item in sources.memory.items
        for row in (
            rows_of(item.record) if item.complete else rehearsal_rows(item.record, tokenizer, limit, complete=False)
        )
    ]
    return replace(
        material, rows=[row for record in material.records for row in rows_of(record)], remembered=remembered
    )


def compose(run: Run) -> Recipe:
    """Rehearse among the new rows."""
    settings: Settings = run.settings
    return Recipe(replay_share=settings.replay_share, joined=True)
