"""AdaptLLM: texts are read with questions about them, so that reading a domain does not cost the ability to answer.

Cheng et al. 2024, Adapting Large Language Models via Reading Comprehension (arXiv:2309.09530). Every text of the
selection is followed by questions that were mined from it (`learners.parts.reading`) and learned whole; instructions
in the selection are learned beside them, and remembered ones, at first the base model's own answers, are rehearsed.
"""

from __future__ import annotations

import random
from dataclasses import replace

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import reading
from learners.parts.rows import Row
from learners.parts.views import rehearsal_rows, text_rows
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]

_ROOM = 0.75  # of a row is for the text, the rest for what is asked about it


class Settings(contract.Settings):
    """AdaptLLM.

    Attributes:
        exercises: most of one kind for each piece of a text; 0 reads the texts as they are.
        general_share: part of each batch that are remembered instructions and preferences, on top of the new rows.
            Without both it is plain fine-tuning on the texts and the instructions of the selection.
    """

    exercises: int = Field(default=2, ge=0)
    general_share: float = Field(default=0.5, ge=0, lt=1)


def prepare(sources: Sources) -> Material:
    """Texts with their exercises and conversations as they are; conversations alone are rehearsed."""
    limit = sources.settings.max_length_tokens
    spoken = [one for one in sources.others if one.kind in ("text", "instruction", "tool")]
    material = sources.material([*sources.records, *spoken], form="rows")
    rows = [row for record in material.records for row in _rows(record, sources)]
    remembered = [
        row
        for item in sources.memory.items
        if item.record.kind != "text"
        for row in rehearsal_rows(item.record, sources.tokenizer, limit, complete=item.complete)
    ]
    return replace(material, rows=rows, remembered=remembered)


def _rows(record: Record, sources: Sources) -> list[Row]:
    settings: Settings = sources.settings
    if record.kind != "text" or not settings.exercises:
        return rehearsal_rows(record, sources.tokenizer, settings.max_length_tokens)
    views = [record.model_copy(update={"content": {"text": text}}) for text in _comprehensions(record, sources)]
    return [row for view in views for row in text_rows(view, sources.tokenizer, settings.max_length_tokens)]


def _comprehensions(record: Record, sources: Sources) -> list[str]:
    """A text record piece by piece, each with its exercises behind it.

    The title stands before the first piece unless it is what is asked for.
    """
    settings: Settings = sources.settings
    limit = settings.max_length_tokens - 2  # separators
    draw = random.Random(f"{sources.seed}:{record.id}")  # noqa: S311 - sampling, not secrecy
    title = str(record.content.get("title") or "")
    text = str(record.content["text"]).removeprefix(title).strip()
    found: list[str] = []
    for piece in reading.pieces(text, lambda part: _tokens(part, sources) <= _ROOM * limit):
        asked = reading.exercises(
            piece, title, most=settings.exercises, is_term=lambda word: _tokens(word, sources) > 1, draw=draw
        )
        told = title and all(one.kind != "summary" for one in asked)
        begun = f"{title}\n\n{piece}" if told else piece
        found.append(reading.comprehended(begun, asked, lambda whole: _tokens(whole, sources) <= limit))
        title = ""
    return found


def _tokens(text: str, sources: Sources) -> int:
    return len(sources.tokenizer(text, add_special_tokens=False)["input_ids"])  # pyright: ignore


def compose(run: Run) -> Recipe:
    """Learn general conversations in the same batches, with the same loss."""
    return Recipe(replay_share=run.settings.general_share, joined=True)
