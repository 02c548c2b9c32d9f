"""CERT: code is learned in two steps, its sketch and its details.

Zan et al. 2022 (arXiv:2206.06888). From the same files two versions are trained, each with its role: the `sketcher`
learns sketches alone, the `generator` every block behind its sketch. A generator that names its sketcher is served in
two steps (`monitors.engines.two_steps`): the sketcher continues a prompt with a sketch, and the generator writes the
code for both; without placeholders the sketch is the answer already. Loss: the plain one, over sketches, or over sketch
and block. Both roles share one base here, an adapter each, and the two steps decode greedily; in the paper they are two
models, and many samples are drawn.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.sketch import BLOCK_END, beside_its_sketch, blocks, sketched
from learners.parts.views import text_rows
from learners.records import Record
from learners.versions import read_version

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """CERT.

    Attributes:
        role: what this version will do; `plain` learns the files as they are, which is plain fine-tuning.
        sketcher: id of the version that sketches for this generator; it lies beside the parent and stays there as long
            as the generator. Empty: the generator answers in one step.
    """

    role: Literal["sketcher", "generator", "plain"] = "generator"
    sketcher: str = Field(default="", pattern=r"^[a-z0-9-]{0,64}$")

    @model_validator(mode="after")
    def _sketches_for_a_generator(self) -> Settings:
        if self.sketcher and self.role != "generator":
            raise ValueError(f"sketcher is {self.sketcher!r} and role {self.role!r}; only a generator has a sketcher")
        return self


def prepare(sources: Sources) -> Material:
    """Put every file's sketches, or its blocks behind their sketches, in its place.

    Raises:
        InvalidInput: not one record is Python code, or the sketcher is none.
    """
    settings: Settings = sources.settings
    if settings.sketcher:
        _check_sketcher(sources.parent.folder.parent / settings.sketcher)
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


def _check_sketcher(folder: Path) -> None:
    spec = read_version(folder, verify=False).spec
    if spec.settings.get("role") != "sketcher":
        raise InvalidInput(
            f"version {spec.id!r} is no sketcher; train one on the same files first, with method cert and "
            "role = 'sketcher'"
        )


def _view(code: str, role: str) -> str:
    """A file in the form of one role; empty where it is no Python."""
    view = sketched if role == "sketcher" else beside_its_sketch
    return BLOCK_END.join(view(block) for block in blocks(code) or [])


def _with_text(record: Record, text: str) -> Record:
    return record.model_copy(update={"content": {**record.content, "text": text}})


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage."""
    return Recipe()
