"""The `views` job: what a training job would learn from, token by token, without training.

Owns the form in which rows are shown; the rows themselves are those of `learners.training`, prepared by the method as
for a real run. Reads sizes of weights alone, unless the method's own preparation reads more. Called by `python -m
learners` as the handler of kind `views`, for `cld plan views`. Imports no torch before it works.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from learners.job import TrainSpec
from learners.parts.rows import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from learners.methods.contract import Material
    from learners.worker import Job

__all__ = ["Piece", "View", "ViewResult", "ViewSpec", "views"]

Role = Literal["new", "forgotten", "rehearsed", "chosen", "rejected", "approved", "disapproved", "prompt"]

_SAMPLE_ROWS = 2000


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ViewSpec(TrainSpec):
    """Show the first `limit` rows of the new material, and as many of what may be rehearsed."""

    limit: int = Field(default=5, ge=1)


class Piece(_Frozen):
    """Tokens that stand together and are all learned, or all only read."""

    text: str
    token_ids: tuple[int, ...]
    learned: bool


class View(_Frozen):
    """One row as the trainer gets it.

    Attributes:
        role: `chosen` and `rejected` are the two rows of one preference, `approved` and `disapproved` judged answers;
            of `rejected`, `disapproved` and `forgotten`, `learned` means made less likely. Of a `prompt` nothing is
            learned but what the model itself will answer.
    """

    role: Role
    tokens: int
    learned_tokens: int
    pieces: tuple[Piece, ...]


class ViewResult(_Frozen):
    """Answer of a `views` job.

    Attributes:
        rows, remembered: how many rows there are to learn from and to rehearse from.
        tokens, learned_tokens: of all new rows, in one pass.
        overlap: share of the words of new texts that occur in what may be rehearsed; None where either is missing.
        warnings: what is known to go wrong with texts like these, see `learners.parts.shift`.
    """

    rows: int
    remembered: int
    tokens: int
    learned_tokens: int
    overlap: float | None = None
    warnings: tuple[str, ...] = ()
    views: tuple[View, ...]


def views(spec: dict[str, Any], job: Job) -> ViewResult:
    """Prepare the material of a training job and show its beginning.

    Args:
        spec: a `ViewSpec`: a `TrainSpec` and `limit`.

    Raises:
        InvalidInput: unknown method or setting, or no record that the stage can learn from.
        IncompleteFolder, DamagedFolder: the parent is not what its manifest says.
    """
    from learners.training import prepared

    asked = ViewSpec.model_validate(spec)
    material = prepared(TrainSpec.model_validate(asked.model_dump(exclude={"limit"})), job)
    marked = [_marked(ids, labels) for row in material.rows for _, ids, labels in _sequences(row, "new")]
    shared, warnings = _foreseen(asked, material) if asked.stage == "cpt" else (None, ())
    role: Role = "forgotten" if asked.stage == "forget" else "new"
    return ViewResult(
        rows=len(material.rows),
        remembered=len(material.remembered),
        tokens=sum(map(len, marked)),
        learned_tokens=sum(learned for tokens in marked for _, learned in tokens),
        overlap=shared,
        warnings=warnings,
        views=(
            *_first(material.rows, role, material.tokenizer, asked.limit),
            *_first(material.remembered, "rehearsed", material.tokenizer, asked.limit),
        ),
    )


def _foreseen(asked: ViewSpec, material: Material) -> tuple[float | None, tuple[str, ...]]:
    """The overlap of new and remembered texts, of a sample of each, and what is to be expected of this corpus."""
    from learners.parts import shift
    from learners.versions import parameters, read_version

    new, old = (
        [str(material.tokenizer.decode(ids, skip_special_tokens=True))
         for row in rows[:_SAMPLE_ROWS] for _, ids, _ in _sequences(row, "new")]
        for rows in (material.rows, material.remembered)
    )  # fmt: skip
    shared = shift.overlap(new, old)
    size = parameters(read_version(asked.parent, verify=False).weights)
    found = (shift.far_shift(shared), shift.too_little(shift.text_bytes(material.records), size))
    return shared, tuple(filter(None, found))


def _first(
    rows: Sequence[Mapping[str, Any]], role: Role, tokenizer: PreTrainedTokenizerBase, limit: int
) -> Iterator[View]:
    for row in rows[:limit]:
        for side, ids, labels in _sequences(row, role):
            yield _view(side, _marked(ids, labels), tokenizer)


def _sequences(row: Mapping[str, Any], role: Role) -> list[tuple[Role, list[int], list[int]]]:
    """Role, tokens and labels of what the model reads of a row: of a preference, twice."""
    if "prompt_ids" not in row:
        return [(role, row["input_ids"], row["labels"])]
    prompt: list[int] = row["prompt_ids"]
    sides: list[tuple[Role, list[int]]]
    if "chosen_ids" in row:
        sides = [("chosen", row["chosen_ids"]), ("rejected", row["rejected_ids"])]
    elif "label" in row:
        sides = [("approved" if row["label"] else "disapproved", row["completion_ids"])]
    else:
        sides = [("prompt", [])]
    return [(side, [*prompt, *answer], [*[IGNORED] * len(prompt), *answer]) for side, answer in sides]


def _marked(ids: Sequence[int], labels: Sequence[int]) -> list[tuple[int, bool]]:
    """Each token and whether it is learned; a first token never is, for nothing predicts it."""
    return [(token, place > 0 and labels[place] != IGNORED) for place, token in enumerate(ids)]


def _view(role: Role, marked: Sequence[tuple[int, bool]], tokenizer: PreTrainedTokenizerBase) -> View:
    pieces: list[Piece] = []
    for learned, group in groupby(marked, key=lambda pair: pair[1]):
        tokens = [token for token, _ in group]
        text = str(tokenizer.decode(tokens, skip_special_tokens=False))
        pieces.append(Piece(text=text, token_ids=tuple(tokens), learned=learned))
    count = sum(learned for _, learned in marked)
    return View(role=role, tokens=len(marked), learned_tokens=count, pieces=tuple(pieces))
