"""ToolkenGPT: a tool is a token of its own; one output row is learned for it, and the model stays frozen.

Hao et al. 2023 (arXiv:2305.11554). In every `CALL name {arguments}` of an answer the first token's label is the tool's
row, and the rest of the call is not learned: the frozen model writes arguments itself, from examples. All other tokens
are learned as usual, so that rows also learn where to be silent. Rows of tools learned before stay as they are
(`learners.parts.extensions.toolken`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.calls import calls_in, marker
from learners.parts.penalties import new_likelihood
from learners.parts.rows import IGNORED, Row, learned_tokens
from learners.parts.turns import turn_rows
from learners.records import Record

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Settings", "compose", "prepare", "wrap"]


class Settings(contract.Settings):
    """ToolkenGPT.

    Attributes:
        learning_rate, epochs: the released code's.
        only_calls: learn the tokens of calls alone; the rows then see no place to be silent at, so set the bias.
        call_bias: added to the rows' logits when the model answers; that of a lineage's first version holds.
    """

    learning_rate: float = Field(default=1e-3, gt=0)
    epochs: int = Field(default=10, ge=0)
    only_calls: bool = False
    call_bias: float = 0.0


def prepare(sources: Sources) -> Material:
    """Rows of every assistant's turn, in which each call is the token of its tool; none without a label.

    Raises:
        InvalidInput: not one answer calls a tool.
    """
    settings: Settings = sources.settings
    material = sources.material()
    known, called = _tools(sources, material.records)
    if not called:
        raise InvalidInput(
            "toolken learns when to call a tool, and no answer of the selection has a line `CALL name {arguments}`; "
            "select records of kind 'tool', or use another method"
        )
    first = _vocabulary(sources)
    tokens = {name: first + number for number, name in enumerate([*known, *_fresh(known, called)])}
    rows = [
        _renamed(row, sources.tokenizer, tokens, only_calls=settings.only_calls)
        for record in material.records
        for row in turn_rows(record, sources.tokenizer, settings.max_length_tokens)
    ]
    return replace(material, rows=[row for row in rows if learned_tokens(row)])


def _tools(sources: Sources, records: Sequence[Record]) -> tuple[list[str], set[str]]:
    """Tools that have a row, and those that the records' answers call."""
    from learners.parts.extensions.toolken import taught

    turns = [turn for record in records for turn in record.content.get("messages", ())]
    said = [str(turn["content"]) for turn in turns if turn["role"] == "assistant"]
    return taught(sources.parent.extension), {call.name for text in said for call in calls_in(text)}


def _fresh(known: Sequence[str], called: set[str]) -> list[str]:
    return sorted(called.difference(known))


def _vocabulary(sources: Sources) -> int:
    """How many tokens the model's logits are of: the first row's token."""
    config = json.loads((sources.parent.weights / "config.json").read_bytes())
    return int(config.get("text_config", config)["vocab_size"])


def _renamed(row: Row, tokenizer: PreTrainedTokenizerBase, tokens: dict[str, int], *, only_calls: bool) -> Row:
    """A row in whose labels every call is one token; the call's other tokens are not learned."""
    labels = row["labels"]
    places = [place for place, label in enumerate(labels) if label != IGNORED]
    learned = [labels[place] for place in places]
    calls = calls_in(_text(tokenizer, learned))
    renamed = [IGNORED] * len(labels) if only_calls or not places else list(labels)
    ends = [len(_text(tokenizer, learned[: count + 1])) for count in range(len(learned))] if calls else []
    for call in calls:
        inside = [place for place, end in zip(places, _overlaps(ends, call.start, call.end), strict=True) if end]
        for place in inside:
            renamed[place] = IGNORED
        renamed[inside[0]] = tokens[call.name]
    return Row(input_ids=row["input_ids"], labels=renamed)


def _overlaps(ends: Sequence[int], start: int, end: int) -> list[bool]:
    """Which tokens share a character with a part of the text; `ends` are the tokens' own."""
    begins = [0, *ends[:-1]]
    return [begin < end and start < own for begin, own in zip(begins, ends, strict=True)]


def _text(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    return str(tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with its rows and one for each new tool, which alone learns; without an epoch none is added.

    Where every tool that is called has a row, these rows learn on.
    """
    from learners import weights
    from learners.parts import extensions
    from learners.parts.extensions.toolken import Kind

    settings: Settings = sources.settings
    model = weights.frozen(sources.parent)
    inner = extensions.plain(model)
    kind = extensions.continued(sources.parent.extension, model, Kind)
    kind = kind or Kind(inner.config, tools=[], bias=settings.call_bias)  # pyright: ignore
    if settings.epochs:
        known, called = _tools(sources, material.records)
        matrix: torch.Tensor = inner.get_output_embeddings().weight  # pyright: ignore
        for name in (fresh := _fresh(known, called)):
            pieces = sources.tokenizer(marker(name), add_special_tokens=False)["input_ids"]
            kind.add(name, matrix[pieces].mean(dim=0))
        kind.learn(fresh or called)
    if len(kind.rows):
        kind.attach(model)
    return model


def compose(run: Run) -> Recipe:
    """The likelihood over vocabulary and tools together."""
    return Recipe(stage_loss=new_likelihood)
