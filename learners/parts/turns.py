"""Conversations of which every turn of the assistant is learned, calls of tools included.

Owns no rendering of its own: each of the assistant's turns is one row of `learners.parts.views`, after the
conversation up to it, as the model will read it when it has to say that turn. Used by the methods that teach tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from learners.parts.calls import told_of
from learners.parts.rows import Row
from learners.parts.views import chat_rows, rehearsal_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from learners.records import Record

__all__ = ["Described", "knows_tools", "turn_rows"]

Described = Literal["nowhere", "text", "template"]
"""Where a record's tools stand in the prompt: in a system turn, or where the model's chat template puts them."""

_PROBED = {"type": "function", "function": {"name": "look_up", "description": "Look it up.", "parameters": {}}}


def turn_rows(
    record: Record, tokenizer: PreTrainedTokenizerBase, max_length: int, *, described: Described = "nowhere"
) -> list[Row]:
    """One row for each turn of the assistant, learned alone; other kinds of records have their usual rows.

    Args:
        max_length: rows are cut to it, and a turn before which it is full has none.
        described: `template` is `text` where the template knows no tools.
    """
    if record.kind not in ("instruction", "tool"):
        return rehearsal_rows(record, tokenizer, max_length)
    messages, tools = record.content["messages"], record.content.get("tools") or []
    template = tools if tools and described == "template" and knows_tools(tokenizer) else None
    turns = told_of([] if described == "nowhere" or template else tools, messages)
    ends = [place for place, turn in enumerate(turns, start=1) if turn["role"] == "assistant"]
    return [row for end in ends for row in chat_rows(turns[:end], tokenizer, max_length, tools=template)]


def knows_tools(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the chat template shows tools."""
    turns = [{"role": "user", "content": "?"}]
    shown = [tokenizer.apply_chat_template(turns, tools=tools, tokenize=False) for tools in (None, [_PROBED])]  # pyright: ignore
    return shown[0] != shown[1]
