"""Shapes: the rows that trl and datasets users have, as the content of records.

Owns which columns make which kind. A row's kind follows from its columns and turns alone; a column named `kind`, like
every column not named here, is ignored. The first shape of `_SHAPES` whose columns are all present is the row's, once
`reactions` has rewritten what people thought of logged answers.

| columns | kind |
|---|---|
| chosen, rejected (+ prompt, else their common beginning) | preference |
| completion, label (+ prompt) | feedback |
| messages, or conversations | instruction |
| prompt, completion | instruction |
| instruction, output (+ input) | instruction |
| text (+ title) | text |
| task | instruction |

An instruction is of kind `tool` where the row brings tools, a turn calls one or carries its answer, or the last answer
is a single `CALL name {json}` line. It may bring its reasons (`rationale`, text) and the task it belongs to (`task`, an
object with a definition and examples, see `learners.parts.instructions`); a task alone becomes its first right example.
A preference may name the norm it belongs to (`norm`) and what it does to it (`change`, see `learners.parts.norms`), and
a preference or feedback the `group` of people whose word it is; of people themselves nothing is kept.
Called by the intake handler; reads no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import takewhile
from typing import Any, Final, cast, get_args

from pydantic import ValidationError

from learners.parts.instructions import Instruction, examples
from learners.parts.norms import Change
from learners.records import Kind
from monitors.intake.guards import Refused, parse_json, shown
from monitors.intake.reactions import DIALOGUES, judged, without_answer
from monitors.intake.turns import Turn, as_turns, is_call, mentions_tools, transcript, words

__all__ = ["as_content"]

Row = dict[str, Any]
_Shaped = tuple[Kind, dict[str, Any]]

_STRUCTURED: Final = ("messages", "conversations", "tools")
_CONVERSED: Final = (*_STRUCTURED, "prompt", "completion", "chosen", "rejected")
_LABELS: Final = {"true": True, "1": True, "false": False, "0": False}
_GROUP: Final = re.compile(r"\w[\w .+-]{0,39}")
_MAX_TOOLS = 128
_SHOWN_COLUMNS = 8


def as_content(row: object) -> _Shaped:
    """The kind and content of one row.

    Args:
        row: a value parsed from data. Absent cells may be missing, None or (CSV) empty; a CSV's `messages` and `tools`
            cells hold JSON.

    Returns:
        Kind, and content as `learners.records.Record` describes it.

    Raises:
        Refused: the row has no known shape or breaks a rule of its shape; the message names the column.
    """
    if not isinstance(row, dict):
        raise Refused(f"is {shown(row)}; an object with named columns is required")
    every = {name: _structured(name, value) for name, value in cast(dict[str, Any], row).items()}
    cells = {name: value for name, value in judged(every).items() if value is not None}
    for columns, shape in _SHAPES:
        if all(cells.get(column) is not None for column in columns):
            return shape(cells)
    columns = ", ".join(shown(name) for name in sorted(map(str, cells))[:_SHOWN_COLUMNS])
    raise Refused(without_answer(cells) or f"has the columns {columns or 'none'}; no known shape has these")


def _structured(name: str, value: Any) -> Any:
    """The value of a column; that of a CSV's structured one is JSON."""
    if not isinstance(value, str):
        return value
    if name in _STRUCTURED:
        return parse_json(value) if value.strip() else None
    return parse_json(value) if name in DIALOGUES and value.lstrip().startswith("[") else value


def _preference(row: Row) -> _Shaped:
    chosen, rejected = _answer(row["chosen"], "chosen"), _answer(row["rejected"], "rejected")
    given = as_turns(row["prompt"], "prompt", "user") if row.get("prompt") not in (None, "", []) else None
    if given is None and isinstance(row["chosen"], str) and len(chosen) == len(rejected) == 1:
        prompt, chosen, rejected = _common_words(chosen[0]["content"], rejected[0]["content"])
    elif given is None or chosen[0]["role"] != "assistant":
        prompt, chosen, rejected = _common_turns(chosen, rejected)
        _require_agreement(given, prompt)
    else:
        prompt = given
    _require_prompt(prompt)
    _require_answer(chosen, "chosen")
    _require_answer(rejected, "rejected")
    if chosen == rejected:
        raise Refused("'chosen' and 'rejected' are equal, so nothing is preferred")
    return "preference", {"prompt": prompt, "chosen": chosen, "rejected": rejected, **_norm(row), **_group(row)}


def _norm(row: Row) -> dict[str, Any]:
    """What a preference does to a norm, where it says so."""
    change = row.get("change") or "add"
    if row.get("norm") in (None, ""):
        if change in ("revise", "retire"):
            raise Refused(f"'change' is {shown(change)} and no 'norm' is named; say whose change it is")
        return {}
    if change not in get_args(Change):
        raise Refused(f"'change' is {shown(change)}; it is one of {', '.join(get_args(Change))}")
    return {"norm": words(row["norm"], "norm"), "change": change}


def _group(row: Row) -> dict[str, Any]:
    """Whose word a judgement is, where it says so; short and plain, since a prompt may have to state it."""
    if row.get("group") in (None, ""):
        return {}
    group = words(row["group"], "group")
    if not _GROUP.fullmatch(group):
        raise Refused(f"'group' is {shown(group)}; it is at most 40 letters, digits, blanks and . _ + -")
    return {"group": group}


def _answer(value: object, column: str) -> list[Turn]:
    turns = transcript(value) if isinstance(value, str) else None
    return turns or as_turns(value, column, "assistant")


def _common_turns(chosen: list[Turn], rejected: list[Turn]) -> tuple[list[Turn], list[Turn], list[Turn]]:
    common = 0
    # The last turn of the shorter side is an answer, so it never belongs to the prompt.
    for left, right in zip(chosen[:-1], rejected[:-1], strict=False):
        if left != right:
            break
        common += 1
    return chosen[:common], chosen[common:], rejected[common:]


def _common_words(chosen: str, rejected: str) -> tuple[list[Turn], list[Turn], list[Turn]]:
    """Trl's implicit prompt of two strings: their common beginning up to the last blank."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
    cut = chosen.rfind(" ", 0, same) + 1
    if cut == 0:
        raise Refused("has no 'prompt', and 'chosen' and 'rejected' do not begin with the same words")
    prompt = as_turns(chosen[:cut], "prompt", "user")
    return prompt, as_turns(chosen[cut:], "chosen", "assistant"), as_turns(rejected[cut:], "rejected", "assistant")


def _require_agreement(given: list[Turn] | None, prompt: list[Turn]) -> None:
    """Chosen and rejected that bring their own prompt must bring the one in the `prompt` column."""
    if given is not None and given != prompt and given != prompt[-1:]:
        raise Refused("'prompt' differs from the turns that 'chosen' and 'rejected' begin with")


def _feedback(row: Row) -> _Shaped:
    turns = as_turns(row["completion"], "completion", "assistant")
    prompt = as_turns(row["prompt"], "prompt", "user") if row.get("prompt") not in (None, "", []) else []
    if not prompt:
        prompt, turns = turns[:-1], turns[-1:]
    _require_prompt(prompt)
    _require_answer(turns, "completion")
    return "feedback", {"prompt": prompt, "completion": turns, "label": _label(row["label"]), **_group(row)}


def _label(value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = _LABELS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise Refused(f"'label' is {shown(value)}; true or false is required")
    return known


def _messages(row: Row) -> _Shaped:
    column = "messages" if row.get("messages") is not None else "conversations"
    if not isinstance(row[column], list):
        raise Refused(f"{column!r} is {shown(row[column])}; a list of messages is required")
    return _instruction(row, as_turns(row[column], column, "user"), column)


def _prompt_completion(row: Row) -> _Shaped:
    prompt = as_turns(row["prompt"], "prompt", "user")
    completion = as_turns(row["completion"], "completion", "assistant")
    _require_answer(completion, "completion")
    return _instruction(row, [*prompt, *completion], "completion")


def _alpaca(row: Row) -> _Shaped:
    parts = [words(row["instruction"], "instruction")]
    if row.get("input") not in (None, ""):
        parts.append(words(row["input"], "input"))
    prompt = as_turns("\n\n".join(parts), "instruction", "user")
    return _instruction(row, [*prompt, *as_turns(row["output"], "output", "assistant")], "output")


def _instruction(row: Row, turns: list[Turn], column: str) -> _Shaped:
    if turns[-1]["role"] != "assistant":
        raise Refused(f"{column!r} ends with the turn of {turns[-1]['role']!r}; the assistant's answer is required")
    _require_prompt(turns[:-1])
    tools = _tools(row.get("tools"))
    content: dict[str, Any] = {"messages": turns, "tools": tools} if tools else {"messages": turns}
    if isinstance(why := row.get("rationale"), str) and why.strip():
        content["rationale"] = words(why, "rationale")
    if isinstance(row.get("task"), dict):
        content["task"] = _task(row["task"])[1]
    tooled = tools or is_call(turns[-1]["content"]) or any(mentions_tools(row.get(name)) for name in _CONVERSED)
    return ("tool" if tooled else "instruction"), content


def _tools(value: object) -> list[dict[str, Any]]:
    if value in (None, []):
        return []
    tools = cast(list[object], value) if isinstance(value, list) else []
    if not 0 < len(tools) <= _MAX_TOOLS or not all(isinstance(tool, dict) for tool in tools):
        raise Refused(f"'tools' is {shown(value)}; a list of 1 to {_MAX_TOOLS} objects is required")
    _require_words(tools)
    return cast(list[dict[str, Any]], tools)


def _require_words(value: object) -> None:
    """Every string inside tools must be text; parsing has bounded the depth."""
    if isinstance(value, str):
        if value:
            words(value, "tools")
    elif isinstance(value, dict):
        _require_words([*cast(dict[str, object], value).keys(), *cast(dict[str, object], value).values()])
    elif isinstance(value, list):
        for inner in cast(list[object], value):
            _require_words(inner)
    elif value is not None and not isinstance(value, bool | int | float):
        raise Refused(f"'tools' holds {shown(value)}; JSON values are required")


def _task(value: object) -> tuple[Instruction, dict[str, Any]]:
    """A task's fields, and what of them a record keeps."""
    try:
        task = Instruction.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, ("task", *problem["loc"])))
        raise Refused(f"{place!r} is {shown(problem['input'])}; {problem['msg'].lower()}") from None
    kept = _cleaned(task.model_dump(mode="json", exclude_defaults=True))
    return Instruction.model_validate(kept), kept


def _cleaned(value: Any) -> Any:
    """Every text in it as `words` has it; an empty one stays empty."""
    if isinstance(value, str):
        return words(value, "task") if value.strip() else ""
    if isinstance(value, list):
        return [_cleaned(one) for one in cast(list[object], value)]
    return {name: _cleaned(one) for name, one in cast(dict[str, object], value).items()}


def _instructed(row: Row) -> _Shaped:
    task, kept = _task(row["task"])
    shown_first = examples(task, right=True)[:1]
    if not shown_first:
        raise Refused("'task' has no positive example, and the row no turns, so there is no answer to learn")
    return "instruction", {**shown_first[0].content, "task": kept}


def _text(row: Row) -> _Shaped:
    title = row.get("title")
    named = words(title, "title")[:200] if isinstance(title, str) and title.strip() else None
    return "text", {"text": words(row["text"], "text"), "title": named}


def _require_prompt(turns: list[Turn]) -> None:
    if not any(turn["role"] == "user" for turn in turns):
        raise Refused("has no turn of the user before the answer")


def _require_answer(turns: list[Turn], column: str) -> None:
    if not turns or turns[-1]["role"] != "assistant" or turns[0]["role"] not in ("assistant", "tool"):
        raise Refused(f"{column!r} is not an answer: its turns must begin and end with the assistant's")


_SHAPES: Final[tuple[tuple[tuple[str, ...], Callable[[Row], _Shaped]], ...]] = (
    (("chosen", "rejected"), _preference),
    (("completion", "label"), _feedback),
    (("messages",), _messages),
    (("conversations",), _messages),
    (("prompt", "completion"), _prompt_completion),
    (("instruction", "output"), _alpaca),
    (("text",), _text),
    (("task",), _instructed),
)
