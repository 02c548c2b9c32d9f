"""Tool calls as text: how one is written, where it stands in an answer, and how tools are described in a prompt.

Owns the house's spelling, a line `CALL name {json arguments}`: every chat template shows text, few show calls. What a
method trains on, what the tool loop looks for and what probes score is this one spelling. Runs nothing. Used by
`learners.methods.toolken` and `tool_sft`, and by `monitors.tools`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

__all__ = ["Found", "calls_in", "described", "marker", "told_of"]

_LINE = re.compile(r"^[ \t]*(?P<call>CALL[ \t]+(?P<name>[A-Za-z_][\w.-]*))[ \t]*(?=\{)", re.MULTILINE)
_DECODER = json.JSONDecoder()


class Found(NamedTuple):
    """One call in a text: its tool, its arguments (None where they are no JSON object), and where it stands."""

    name: str
    arguments: dict[str, Any] | None
    start: int
    end: int


def marker(name: str) -> str:
    """What stands before the arguments of a call."""
    return f"CALL {name}"


def calls_in(text: str) -> list[Found]:
    """Every call of a text, in order; one whose arguments cannot be read ends with its line."""
    found: list[Found] = []
    place = 0
    while (line := _LINE.search(text, place)) is not None:
        arguments, end = _object_at(text, line.end())
        found.append(Found(line["name"], arguments, line.start("call"), end))
        place = max(end, line.end())
    return found


def _object_at(text: str, start: int) -> tuple[dict[str, Any] | None, int]:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, min(place for place in (text.find("\n", start), len(text)) if place >= 0)
    return cast(dict[str, Any], value), end


def described(tools: Sequence[Mapping[str, Any]]) -> str:
    """Tools in words, for a prompt.

    Args:
        tools: as OpenAI's interface has them: {"function": {"name", "description", "parameters"}} or the inner object.
    """
    lines = [_line(cast(Mapping[str, Any], tool.get("function", tool))) for tool in tools]
    return "\n".join(["You can call tools. A call is a line: CALL name {arguments as JSON}. Tools:", *lines])


def _line(tool: Mapping[str, Any]) -> str:
    parameters = cast(Mapping[str, Any], tool.get("parameters") or {})
    arguments = json.dumps(parameters.get("properties", parameters), ensure_ascii=False, sort_keys=True)
    return f"- {tool.get('name')}: {tool.get('description', '')} Arguments: {arguments}"


def told_of(tools: Sequence[Mapping[str, Any]], messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A conversation whose system turn describes the tools, behind what it says already; unchanged without tools."""
    turns = [dict(turn) for turn in messages]
    if not tools:
        return turns
    if turns and turns[0]["role"] == "system":
        turns[0]["content"] = f"{turns[0]['content']}\n\n{described(tools)}"
        return turns
    return [{"role": "system", "content": described(tools)}, *turns]
