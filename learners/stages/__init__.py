"""The stages, and which file says how each is trained.

A stage says which kinds of records it learns from, what its training rows are, and its default settings. How little is
forgotten meanwhile is the method's matter (`learners.methods`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from learners.job import Stage
from learners.parts.rows import Form
from learners.records import Kind, Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["STAGES", "StageInfo", "stage_info"]

STAGES: dict[Stage, str] = {
    "cpt": "learners.stages.cpt",
    "cit": "learners.stages.cit",
    "ca": "learners.stages.ca",
    "forget": "learners.stages.forget",
}


@dataclass(frozen=True)
class StageInfo:
    """What a stage is.

    Attributes:
        kinds: record kinds it learns from; others in a selection are left alone.
        rows: (record, tokenizer, max_length) -> its training rows, none when nothing can be learned from it.
        form: of those rows; a method may ask for another (`Sources.material`), as learning from judged answers does.
        defaults: settings that differ from stage to stage.
    """

    kinds: tuple[Kind, ...]
    rows: Callable[[Record, PreTrainedTokenizerBase, int], Sequence[Any]]
    form: Form
    defaults: Mapping[str, Any]


def stage_info(stage: Stage) -> StageInfo:
    """Load a stage from the table."""
    return import_module(STAGES[stage]).STAGE
