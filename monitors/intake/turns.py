"""Turns: conversations in the ways data sets write them, as lists of {"role", "content"}.

Owns the roles, the content of a turn, and how tool calls become text. Called by `shapes`.

Tool calls are written as one `CALL name {json arguments}` line each, behind the turn's own words: every chat template
shows text, few show calls, and the words trained on are then the words that probes look for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from monitors.intake.guards import Refused, clean_text, parse_json, shown

__all__ = ["Turn", "as_turns", "is_call", "mentions_tools", "transcript", "words"]

Turn = dict[str, str]

_ROLES: Final = ("system", "user", "assistant", "tool")
# The names of the ShareGPT form ({"from", "value"}), which trl converts in the same way.
_ROLE_NAMES: Final[Mapping[str, str]] = {
    **{role: role for role in _ROLES},
    "human": "user",
    "gpt": "assistant",
    "function": "tool",
    "observation": "tool",
}
_MAX_TURNS = 256
_CALL = re.compile(r"CALL (?P<name>[A-Za-z_][\w.-]*) (?P<arguments>\{.*\})")
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant):[ \t]*")


def words(value: object, column: str) -> str:
    """The cleaned text of a column.

    Raises:
        Refused: it is no string, is empty, or is not text.
    """
    if not isinstance(value, str):
        raise Refused(f"{column!r} is {shown(value)}; text is required")
    try:
        text = clean_text(value)
    except Refused as error:
        raise Refused(f"{column!r} {error}") from error
    if not text:
        raise Refused(f"{column!r} is empty")
    return text


def as_turns(value: object, column: str, role: str) -> list[Turn]:
    """A column that holds either a list of messages, or text that `role` says.

    Raises:
        Refused: with the column, the turn and the rule it breaks.
    """
    if not isinstance(value, list):
        return [{"role": role, "content": words(value, column)}]
    messages = cast(list[object], value)
    if not 0 < len(messages) <= _MAX_TURNS:
        raise Refused(f"{column!r} has {len(messages)} messages; 1 to {_MAX_TURNS} are read")
    return [_turn(message, f"{column}[{index}]") for index, message in enumerate(messages)]


def mentions_tools(value: object) -> bool:
    """Whether a column's messages call a tool or carry its answer."""
    if not isinstance(value, list):
        return False
    messages = [cast(dict[str, object], one) for one in cast(list[object], value) if isinstance(one, dict)]
    return any(one.get("tool_calls") or _role_name(one) == "tool" for one in messages)


def is_call(text: str) -> bool:
    """Whether an answer is a single `CALL name {json}` line."""
    match = _CALL.fullmatch(text)
    if match is None:
        return False
    try:
        return isinstance(parse_json(match["arguments"]), dict)
    except Refused:
        return False


def transcript(text: str) -> list[Turn] | None:
    """The turns of a `\\n\\nHuman: ...\\n\\nAssistant: ...` text (the form of HH-RLHF), or None if it is none."""
    parts = _SPEAKER.split(text)
    if len(parts) < 5 or parts[0].strip() or parts[1] != "Human":
        return None
    roles = {"Human": "user", "Assistant": "assistant"}
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return [{"role": roles[speaker], "content": words(said, speaker)} for speaker, said in pairs]


def _role_name(message: dict[str, object]) -> str | None:
    name = message.get("role", message.get("from"))
    return _ROLE_NAMES.get(name) if isinstance(name, str) else None


def _turn(message: object, place: str) -> Turn:
    if not isinstance(message, dict):
        raise Refused(f"{place!r} is {shown(message)}; an object with 'role' and 'content' is required")
    fields = cast(dict[str, object], message)
    role = _role_name(fields)
    if role is None:
        given = fields.get("role", fields.get("from"))
        raise Refused(f"{place!r} has the role {shown(given)}; known are {', '.join(_ROLES)}")
    calls = _calls(fields.get("tool_calls"), place)
    content = fields.get("content", fields.get("value"))
    said = [] if calls and content in (None, "") else [words(_joined(content, place), f"{place}.content")]
    return {"role": role, "content": "\n".join([*said, *calls])}


def _joined(content: object, place: str) -> object:
    """Content given as parts ({"type": "text", "text": ...}) as one text."""
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    for part in cast(list[object], content):
        fields = cast(dict[str, object], part) if isinstance(part, dict) else {}
        if fields.get("type") != "text":
            raise Refused(f"{place!r} has a part of type {shown(fields.get('type'))}; only text is read")
        texts.append(words(fields.get("text"), f"{place}.content"))
    return "\n".join(texts)


def _calls(value: object, place: str) -> list[str]:
    if value in (None, []):
        return []
    if not isinstance(value, list):
        raise Refused(f"{place + '.tool_calls'!r} is {shown(value)}; a list is required")
    return [_call(one, f"{place}.tool_calls[{index}]") for index, one in enumerate(cast(list[object], value))]


def _call(value: object, place: str) -> str:
    fields = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    function = fields.get("function", fields)
    named = cast(dict[str, Any], function) if isinstance(function, dict) else {}
    arguments = named.get("arguments", {})
    if isinstance(arguments, str):
        arguments = parse_json(arguments)
    if not isinstance(arguments, dict):
        raise Refused(f"{place!r} has arguments of type {shown(arguments)}; an object is required")
    line = f"CALL {named.get('name')} {json.dumps(arguments, ensure_ascii=False)}"
    if not isinstance(named.get("name"), str) or not is_call(words(line, place)):
        raise Refused(f"{place!r} has the name {shown(named.get('name'))}; a function's name is required")
    return line
