"""CERT: code is learned in two steps, its sketch and its details.

Zan et al. 2022 (arXiv:2206.06888). From the same files two versions are trained, each with its role: the `sketcher`
learns sketches alone, the `generator` every block behind its sketch. At inference the sketcher continues a prompt with
a sketch, and the generator writes the code for both; without placeholders the sketch is the answer already.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.sketch import blocks, sketched
from learners.parts.views import text_rows
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """CERT.

    Attributes:
        role: what this version will do; `plain` learns the files as they are, which is plain fine-tuning.
    """

    role: Literal["sketcher", "generator", "plain"] = "generator"


def prepare(sources: Sources) -> Material:
    """Put every file's sketches, or its blocks behind their sketches, in its place.

    Raises:
        InvalidInput: not one record is Python code.
    """
    settings: Settings = sources.settings
    if settings.role == "plain":
        return sources.material()
    texts = [(record, _view(str(record.content["text"]), settings.role)) for record in sources.records]
    code = [_with_text(record, text) for record, text in texts if text]
    if not code:
        raise InvalidInput("cert learns Python files, and not one record of the selection parses as Python")
    limit = settings.max_length_tokens
    rows = [row for record in code for row in text_rows(record, sources.tokenizer, limit)]
    originals = [record for record, text in texts if text]
    return replace(sources.material(originals), rows=rows)


def _view(code: str, role: str) -> str:
    """A file in the form of one role; empty where it is no Python."""
    parts = [(sketched(block), block) for block in blocks(code) or []]
    if role == "sketcher":
        return "\n\n".join(sketch for sketch, _ in parts)
    return "\n\n".join(block if sketch == block else f"{sketch}\n{block}" for sketch, block in parts)


def _with_text(record: Record, text: str) -> Record:
    return record.model_copy(update={"content": {**record.content, "text": text}})


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage."""
    return Recipe()
