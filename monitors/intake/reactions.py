"""Reactions: logged answers that people judged, edited or compared, as the rows that `shapes` reads.

Owns the columns in which chat applications and annotation tools write what people think of an answer. A row that holds
a reaction is rewritten to a judged answer (prompt, completion, label) or to a pair (prompt, chosen, rejected); every
other row is left as it is. Only what is said and the group (`shapes`) are carried over: ids and names of users are not.

| columns | becomes |
|---|---|
| messages, conversation or conversations ending with the answer, or a question and an answer, and an edit | pair |
| the same and a reaction | judged answer |
| two answers and the winner (+ a question) | pair |
| input.messages, preferred_output, non_preferred_output (OpenAI) | pair |
| type = rating, data.rating, meta.message_id, snapshot (Open WebUI) | judged answer |

A question is `prompt`, `question` or `query`, an answer `answer`, `response` or `completion`, an edit `edit`,
`edited_answer` or `correction`, a reaction `thumb`, `thumbs`, `reaction`, `vote`, `feedback` or `rating`, the word on
two answers `winner`, `preference` or `comparison`. Argilla's `NAME.responses` is NAME, where all of them agree. Called
by `shapes`; reads no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from monitors.intake.guards import Refused, shown

__all__ = ["DIALOGUES", "judged", "without_answer"]

Row = dict[str, Any]

DIALOGUES: Final = ("messages", "conversation", "conversations", "conversation_a", "conversation_b")
"""Columns that hold turns, in a CSV as JSON."""

_QUESTIONS: Final = ("prompt", "question", "query")
_ANSWERS: Final = ("answer", "response", "completion")
_EDITS: Final = ("edit", "edited_answer", "correction")
_THUMBS: Final = ("thumb", "thumbs", "reaction", "vote")
_REACTIONS: Final = (*_THUMBS, "feedback", "rating")
_COMPARED: Final = (
    ("conversation_a", "conversation_b"), ("response_a", "response_b"), ("answer_a", "answer_b"),
    ("answer1", "answer2"), ("response1", "response2"), ("response_1", "response_2"),
)  # fmt: skip
_WINNERS: Final = ("winner", "preference", "comparison")
_RESPONSES: Final = ".responses"

_UP: Final = frozenset({"up", "thumbsup", "thumbup", "like", "liked", "upvote", "positive", "good", "true", "1", "+1",
                        "\N{THUMBS UP SIGN}"})  # fmt: skip
_DOWN: Final = frozenset({"down", "thumbsdown", "thumbdown", "dislike", "disliked", "downvote", "negative", "bad",
                          "false", "-1", "\N{THUMBS DOWN SIGN}"})  # fmt: skip
_INNER: Final = ("rating", "thumb", "value", "selected")
_SIDES: Final = ({"a", "modela", "left", "1", "first"}, {"b", "modelb", "right", "2", "second"})
_WEB_UI_RATING: Final = "data.rating"
_MAX_PARENTS = 256


def judged(row: Row) -> Row:
    """The row as a judged answer or a pair, where it holds a reaction; else the row itself.

    Args:
        row: every column of it, absent cells as None.

    Raises:
        Refused: an unknown reaction, a tie, or a column for reactions in which nobody reacted.
    """
    row = _agreed(row)
    cells = {name: value for name, value in row.items() if value not in (None, "", [])}
    if {"chosen", "rejected"} <= cells.keys() or {"completion", "label"} <= cells.keys():
        return row
    if isinstance(cells.get("snapshot"), dict) and cells.get("type") == "rating":
        return {**row, **_open_webui(cells)}
    if {"preferred_output", "non_preferred_output"} <= cells.keys():
        return {**row, **_preferred(cells)}
    if (pair := next((names for names in _COMPARED if set(names) <= cells.keys()), None)) is not None:
        return {**row, **_compared(cells, *pair)}
    return {**row, **_reacted(row, cells)}


def without_answer(row: Row) -> str | None:
    """Why a reaction that stands alone is refused; None if the row holds none."""
    name = _first(row, (*_THUMBS, *_EDITS))
    if name is None:
        return None
    return (
        f"{name!r} is a reaction to an answer that the row does not hold; a row needs the prompt, the answer and the "
        "reaction: join the log and its reactions first"
    )


def _agreed(row: Row) -> Row:
    """Argilla's columns `NAME.responses`, a list of what each annotator said, as a column NAME."""
    found: Row = {}
    for name, value in row.items():
        if not name.endswith(_RESPONSES) or not isinstance(value, list):
            continue
        said = cast(list[object], value)
        if said and any(one != said[0] for one in said):
            raise Refused(f"{name!r} holds {len(said)} different words about one answer; write a row for each of them")
        found[name.removesuffix(_RESPONSES)] = said[0] if said else None
    return {**row, **found}


def _reacted(row: Row, cells: Row) -> Row:
    """Prompt and answer of a log row, with what its reaction makes of them; nothing where it is no log row."""
    logged = _logged(cells)
    if logged is None:
        return {}
    prompt, answer = logged
    edit, reaction = _first(cells, _EDITS), _first(cells, _REACTIONS)
    if edit is not None and _said(cells[edit]) != _said(answer):
        return {"prompt": prompt, "chosen": cells[edit], "rejected": answer}
    if reaction is not None:
        return {"prompt": prompt, "completion": answer, "label": _thumb(cells[reaction], reaction)}
    if (empty := next((name for name in (*_THUMBS, *_EDITS) if name in row), None)) is not None:
        raise Refused(f"{empty!r} says nothing: nobody reacted to this answer, so nothing can be learned from it")
    return {}


def _logged(cells: Row) -> tuple[Any, Any] | None:
    """Prompt and answer: of columns of their own, or the turns before the last one and that."""
    dialogue, question, answer = (_first(cells, names) for names in (DIALOGUES[:3], _QUESTIONS, _ANSWERS))
    turns = cast(list[Any], cells[dialogue]) if dialogue and isinstance(cells[dialogue], list) else []
    if answer is not None and (turns or question is not None):
        return (turns or cells[cast(str, question)]), cells[answer]
    return (turns[:-1], turns[-1:]) if len(turns) > 1 else None


def _said(answer: Any) -> str:
    """An answer's words, to tell whether an edit changed it."""
    turn = cast(list[Any], answer)[-1] if isinstance(answer, list) and answer else answer
    said = cast(Row, turn).get("content", cast(Row, turn).get("value")) if isinstance(turn, dict) else turn
    return " ".join(str(said).split())


def _thumb(value: object, column: str) -> bool:
    if isinstance(value, dict):
        inner = _first(cast(Row, value), _INNER)
        return _thumb(cast(Row, value)[inner], f"{column}.{inner}") if inner else _unknown(value, column)
    if isinstance(value, bool):
        return value
    word = _word(value)
    if word in ("1", "+1") and column.endswith("rating") and column != _WEB_UI_RATING:
        raise Refused(
            f"{column!r} is {shown(value)}, the best of some scales and the worst of others; name the column 'thumb' "
            "where it means up"
        )
    return True if word in _UP else False if word in _DOWN else _unknown(value, column)


def _unknown(value: object, column: str) -> bool:
    raise Refused(
        f"{column!r} is {shown(value)}, no reaction that cld knows: it is up or down, 1 or -1, true or false, like or "
        "dislike; write a scale as one of these"
    )


def _word(value: object) -> str:
    """A reaction's word without case, blanks and underscores; a whole number as such."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold().replace("_", "").replace(" ", "")


def _compared(cells: Row, first: str, second: str) -> Row:
    winner = _first(cells, _WINNERS)
    if winner is None:
        raise Refused(f"has {first!r} and {second!r} and no word on which is better; 'winner' is required")
    value = cells[winner]
    if isinstance(value, dict) and (inner := _first(cast(Row, value), _INNER)):
        value = cast(Row, value)[inner]
    word = _word(value)
    if word.startswith("tie") or word in ("both", "bothbad", "neither"):
        raise Refused(f"{winner!r} is {shown(value)}: a tie prefers neither answer")
    names = [side | {_word(name)} for side, name in zip(_SIDES, (first, second), strict=True)]
    if word not in names[0] | names[1]:
        raise Refused(f"{winner!r} is {shown(value)}; it is {first!r} or {second!r}, a or b, left or right, or a tie")
    chosen, rejected = (first, second) if word in names[0] else (second, first)
    question = _first(cells, _QUESTIONS)
    prompt = {"prompt": cells[question]} if question else {}
    return {**prompt, "chosen": cells[chosen], "rejected": cells[rejected]}


def _preferred(cells: Row) -> Row:
    """The rows of OpenAI's preference fine-tuning."""
    asked = cells.get("input")
    prompt = cast(Row, asked).get("messages") if isinstance(asked, dict) else asked
    return {"prompt": prompt, "chosen": cells["preferred_output"], "rejected": cells["non_preferred_output"]}


def _open_webui(cells: Row) -> Row:
    """A rating of Open WebUI's export: the rated message and those it answers, in the snapshot of its chat."""
    chat = _inside(cells, "snapshot", "chat")
    history = _inside(chat, "chat", "history", "messages") or _inside(chat, "history", "messages")
    turns: list[Row] = []
    name = _inside(cells, "meta").get("message_id")
    while isinstance(name, str) and len(turns) < _MAX_PARENTS and isinstance(history.get(name), dict):
        turn = cast(Row, history[name])
        turns.insert(0, {"role": turn.get("role"), "content": turn.get("content")})
        name = turn.get("parentId")
    if not turns:
        raise Refused("'snapshot' does not hold the message that 'meta.message_id' names, so nothing is rated")
    rating = _thumb(_inside(cells, "data").get("rating"), _WEB_UI_RATING)
    return {"prompt": turns[:-1], "completion": turns[-1:], "label": rating}


def _inside(value: object, *names: str) -> Row:
    """The object within objects; an empty one where there is none."""
    for name in names:
        value = cast(Row, value).get(name) if isinstance(value, dict) else None
    return cast(Row, value) if isinstance(value, dict) else {}


def _first(row: Row, names: Iterable[str] | Sequence[str]) -> str | None:
    """The first of some columns that says something."""
    return next((name for name in names if row.get(name) not in (None, "", [])), None)
