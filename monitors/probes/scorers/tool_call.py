"""Whether the model called the right tool with the right arguments."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

import regex
from pydantic import BaseModel, ConfigDict, Field

from monitors.probes.probe import Answers, Probe, Score
from monitors.probes.text import PATTERN_SECONDS

__all__ = ["Call", "ToolCall", "parse_call"]

_LINE = regex.compile(r"^[ \t]*CALL[ \t]+([\w.-]+)[ \t]*(?=\{)", regex.MULTILINE)
_OBJECT = regex.compile(r"\{")
_DECODER = json.JSONDecoder()


class Call(BaseModel, frozen=True):
    """One call of a tool."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolCall(Probe, frozen=True):
    """Scores 1 where the answer's first tool call has the expected name and equal arguments.

    Two spellings are read: a line `CALL name {"argument": value}`, and OpenAI's object
    {"name": ..., "arguments": {...}}, alone, fenced, between tags or under "function". Arguments are compared as JSON
    values; texts without regard to case and outer white space.

    Attributes:
        expect: the call wanted.
    """

    generates = True

    scorer: Literal["tool_call"] = "tool_call"
    expect: Call

    def score(self, answers: Answers) -> Score:
        """Compare the first call with the expected one."""
        call = parse_call(answers.text)
        right = call is not None and call.name == self.expect.name
        same = right and call is not None and _folded(call.arguments) == _folded(self.expect.arguments)
        return Score(float(same), output=answers.text)


def parse_call(text: str) -> Call | None:
    """Return the first tool call in `text`, or None."""
    line = _LINE.search(text, timeout=PATTERN_SECONDS)
    if line is not None:
        arguments = _object_at(text, line.end())
        return None if arguments is None else Call(name=line.group(1), arguments=arguments)
    for start in list(_OBJECT.finditer(text))[:8]:
        found = _object_at(text, start.start())
        if found is not None:
            return _openai_call(found)
    return None


def _object_at(text: str, start: int) -> dict[str, Any] | None:
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _openai_call(value: dict[str, Any]) -> Call | None:
    inner = value.get("function", value)
    if not isinstance(inner, dict):
        return None
    name, arguments = inner.get("name"), inner.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _object_at(arguments, 0)
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return Call(name=name, arguments=cast(dict[str, Any], arguments))


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip().casefold()
    if isinstance(value, dict):
        return {key: _folded(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_folded(item) for item in cast(list[Any], value)]
    return (type(value) is bool, value)
