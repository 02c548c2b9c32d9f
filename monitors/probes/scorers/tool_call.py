"""Whether the model called the right tool with the right arguments."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learners.parts.calls import calls_in
from monitors.probes.probe import Answers, Asks, Probe, Score
from monitors.probes.text import degenerate
from monitors.tools import tools_of
from monitors.tools.loop import Asked, last_words, opens_call

__all__ = ["Call", "ToolCall", "parse_call"]

_OBJECT = re.compile(r"\{")
_DECODER = json.JSONDecoder()


class Call(BaseModel, frozen=True):
    """One call of a tool."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolCall(Probe, frozen=True):
    """Scores 1 where the answer's first tool call has the expected name and equal arguments, or where none is due.

    Two spellings are read: a line `CALL name {"argument": value}`, and OpenAI's object
    {"name": ..., "arguments": {...}}, alone, fenced, between tags or under "function". Arguments are compared as JSON
    values; texts without regard to case and outer white space.

    Attributes:
        expect: the call wanted; null where the question is to be answered without one; silence is no answer.
        tools: what may be called, by name, each with its configuration (see `monitors.tools.TOOLS`). With tools, calls
            are run and the model goes on from their results; without, the first call is all that is looked at.
        told: the prompt describes the tools; false for a model that is to know them.
        nearest: the prompt describes only so many of the tools, those nearest to the question.
        examples: so many solved examples of these tools stand beside them, those nearest to the question.
        ways: different calls that are tried at one place, where the others failed or were given up.
        answer: what the words behind the last result must contain, too; without it, the first call ends the
            conversation.
    """

    generates = True

    scorer: Literal["tool_call"] = "tool_call"
    expect: Call | None
    tools: dict[str, dict[str, Any]] = Field(default_factory=dict)
    told: bool = True
    nearest: int | None = Field(default=None, ge=1)
    examples: int = Field(default=0, ge=0)
    ways: int = Field(default=1, ge=1)
    answer: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        tools_of(self.tools)
        if self.answer is not None and not self.tools:
            raise ValueError("an 'answer' is what is said after a call was run; name the 'tools' that may be called")
        return self

    def asks(self) -> Asks:
        """Generated text, or a conversation where there are tools."""
        if not self.tools:
            return super().asks()
        prompt, calls = self.as_prompt(), None if self.answer else 1
        asked = Asked(
            prompt, tools_of(self.tools), told=self.told, calls=calls, nearest=self.nearest, examples=self.examples,
            ways=self.ways,
        )  # fmt: skip
        return Asks(prompt, conversation=asked)

    def score(self, answers: Answers) -> Score:
        """Compare the first call with the expected one, and the last words with the expected answer."""
        call = parse_call(answers.text)
        if call is None or self.expect is None:
            silent = degenerate(answers.text) or opens_call(answers.text)
            right = call is None and self.expect is None and not silent
        else:
            right = call.name == self.expect.name and _folded(call.arguments) == _folded(self.expect.arguments)
        words = last_words(answers.text) if self.tools else answers.text
        said = self.answer is None or self.answer.strip().casefold() in words.casefold()
        return Score(float(right and said), output=answers.text)


def parse_call(text: str) -> Call | None:
    """Return the first tool call in `text`, or None."""
    for line in calls_in(text)[:1]:
        return None if line.arguments is None else Call(name=line.name, arguments=line.arguments)
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
