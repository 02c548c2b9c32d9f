"""Records to training rows: the tokens a stage learns from one record.

Owns tokenisation, chat templates, loss masks and the removal of held-out sentences. Knows neither stages nor methods;
`learners.stages` says which view a stage takes, and rehearsal uses `rehearsal_rows` for whatever is remembered.
Which tokens are learned its labels say (`learners.parts.rows`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from learners.failures import InvalidInput
from learners.parts.rows import IGNORED, AnyRow, Form, LabelRow, PairRow, PromptRow, Row
from learners.records import Kind, Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "VIEWS",
    "View",
    "chat_rows",
    "label_rows",
    "pair_rows",
    "prompt_rows",
    "rehearsable",
    "rehearsal_rows",
    "separator",
    "spoken",
    "text_rows",
    "without_held_out",
]

Messages = Sequence[dict[str, Any]]


def without_held_out(records: Iterable[Record], held_out: Sequence[str]) -> list[Record]:
    """Drop the held-out sentences, which became probes, from the records.

    They are cut out of plain text. A conversation or a preference that contains one is left out whole, because half an
    answer teaches worse than none. White space is compared loosely, and a record keeps its id.
    """
    wanted = [sentence.split() for sentence in held_out if sentence.strip()]
    if not wanted:
        return list(records)
    wanted.sort(key=len, reverse=True)
    pattern = re.compile("|".join(r"\s+".join(map(re.escape, words)) for words in wanted), re.IGNORECASE)
    cleaned = (_without(record, pattern) for record in records)
    return [record for record in cleaned if record is not None]


def _without(record: Record, pattern: re.Pattern[str]) -> Record | None:
    if record.kind == "text":
        text = pattern.sub("", str(record.content["text"])).strip()
        return record.model_copy(update={"content": {**record.content, "text": text}}) if text else None
    found = any(pattern.search(text) for text in _strings(record.content))
    return None if found else record


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def spoken(record: Record) -> list[str]:
    """Every turn's words, of a conversation, a preference or feedback, in order."""
    turns = [turn for value in record.content.values() if isinstance(value, list) for turn in value]
    return [str(turn["content"]) for turn in turns if isinstance(turn, dict) and turn.get("content")]


def text_rows(record: Record, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Row]:
    """Plain language modelling: title and text between document separators, in pieces of at most `max_length` tokens.

    Neighbouring pieces share one token, so every token but the first separator is predicted exactly once.
    """
    title, text = record.content.get("title"), str(record.content["text"])
    whole = f"{title}\n\n{text}" if title and not text.startswith(str(title)) else text
    border = separator(tokenizer)
    ids = [border, *_encode(tokenizer, whole), border]
    pieces = [ids[start : start + max_length] for start in range(0, len(ids) - 1, max_length - 1)]
    return [Row(input_ids=piece, labels=list(piece)) for piece in pieces]


def chat_rows(
    messages: Messages,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    *,
    tools: list[dict[str, Any]] | None = None,
    complete: bool = True,
) -> list[Row]:
    """A conversation of which only the last turn is learned.

    Args:
        messages: ends with an assistant turn.
        complete: False leaves the end-of-turn token out, for answers that were cut short.

    Returns:
        One row, cut to `max_length` at its end; no row when the prompt alone fills `max_length`.
    """
    prompt, answer = _prompt_and_answer(messages, tokenizer, tools)
    if not complete:
        answer = answer[: answer.rfind(str(messages[-1]["content"])) + len(str(messages[-1]["content"]))]
    prompt_ids, answer_ids = _encode(tokenizer, prompt), _encode(tokenizer, answer)
    if not answer_ids or len(prompt_ids) >= max_length:
        return []
    ids = [*prompt_ids, *answer_ids][:max_length]
    return [Row(input_ids=ids, labels=[*[IGNORED] * len(prompt_ids), *answer_ids][:max_length])]


def pair_rows(record: Record, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[PairRow]:
    """A preference: its prompt, and the chosen and rejected last turns; no row when the prompt fills `max_length`."""
    prompt = list(record.content["prompt"])
    ends = [_prompt_and_answer([*prompt, *record.content[side]], tokenizer) for side in ("chosen", "rejected")]
    prompt_ids = _encode(tokenizer, ends[0][0])
    room = max_length - len(prompt_ids)
    chosen_ids, rejected_ids = (_encode(tokenizer, answer)[: max(room, 0)] for _, answer in ends)
    if ends[0][0] != ends[1][0] or not chosen_ids or not rejected_ids or chosen_ids == rejected_ids:
        return []
    return [PairRow(prompt_ids=prompt_ids, chosen_ids=chosen_ids, rejected_ids=rejected_ids)]


def label_rows(record: Record, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[LabelRow]:
    """Judged answers: of feedback the one that was judged, of a preference the chosen and the rejected one.

    No row when the prompt fills `max_length`; longer answers are cut.
    """
    content = record.content
    if record.kind == "preference":
        return [
            LabelRow(prompt_ids=row["prompt_ids"], completion_ids=answer, label=label)
            for row in pair_rows(record, tokenizer, max_length)
            for answer, label in ((row["chosen_ids"], True), (row["rejected_ids"], False))
        ]
    prompt, answer = _prompt_and_answer([*content["prompt"], *content["completion"]], tokenizer)
    prompt_ids = _encode(tokenizer, prompt)
    answer_ids = _encode(tokenizer, answer)[: max(max_length - len(prompt_ids), 0)]
    row = LabelRow(prompt_ids=prompt_ids, completion_ids=answer_ids, label=bool(content["label"]))
    return [row] if answer_ids else []


def prompt_rows(record: Record, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[PromptRow]:
    """The prompt of a conversation, preference or feedback, and the answer that was approved; no row when it is long.

    Args:
        max_length: of the prompt; what the model answers has its own limit.
    """
    content = record.content
    if record.kind == "instruction":
        turns, answer = content["messages"][:-1], content["messages"][-1:]
    else:
        turns = content["prompt"]
        answer = content["chosen"] if record.kind == "preference" else content["completion"] * bool(content["label"])
    prompt_ids = _encode(tokenizer, _opened(turns, tokenizer))
    expected = str(answer[-1]["content"]) if answer else ""
    return [PromptRow(prompt_ids=prompt_ids, answer=expected)] if len(prompt_ids) < max_length else []


def rehearsable(record: Record) -> bool:
    """Whether a record has a supervised view; an answer that was disapproved has none."""
    return record.kind != "feedback" or bool(record.content["label"])


def rehearsal_rows(
    record: Record, tokenizer: PreTrainedTokenizerBase, max_length: int, *, complete: bool = True
) -> list[Row]:
    """The supervised view of a record of any kind; none for feedback that says an answer was bad."""
    content = record.content
    if not rehearsable(record):
        return []
    if record.kind == "text":
        return text_rows(record, tokenizer, max_length)
    if record.kind in ("preference", "feedback"):
        answer = content["chosen" if record.kind == "preference" else "completion"]
        return chat_rows([*content["prompt"], *answer], tokenizer, max_length)
    return chat_rows(content["messages"], tokenizer, max_length, tools=content.get("tools"), complete=complete)


class View(NamedTuple):
    """How records become rows of one form: the kinds that have such a view, and the function that makes it."""

    kinds: tuple[Kind, ...]
    rows: Callable[[Record, PreTrainedTokenizerBase, int], Sequence[AnyRow]]


VIEWS: dict[Form, View] = {
    "rows": View(("text", "instruction", "tool", "preference", "feedback"), rehearsal_rows),
    "pairs": View(("preference",), pair_rows),
    "labels": View(("preference", "feedback"), label_rows),
    "prompts": View(("instruction", "preference", "feedback"), prompt_rows),
}
"""The view of each form."""


def _prompt_and_answer(
    messages: Messages, tokenizer: PreTrainedTokenizerBase, tools: list[dict[str, Any]] | None = None
) -> tuple[str, str]:
    """The rendered conversation, split before the last turn's content."""
    prompt = _opened(messages[:-1], tokenizer, tools)
    whole = _render(tokenizer, messages, tools, opened=False)
    if not whole.startswith(prompt):
        raise InvalidInput(
            "the model's chat template renders a prompt differently once it is answered, so the answer's tokens cannot "
            "be told apart; give the model folder a chat template that only appends"
        )
    return prompt, whole[len(prompt) :].rstrip("\n")


def _opened(messages: Messages, tokenizer: PreTrainedTokenizerBase, tools: list[dict[str, Any]] | None = None) -> str:
    """The rendered conversation, and the beginning of the turn that answers it."""
    if not tokenizer.chat_template:
        raise InvalidInput(
            "the model's tokenizer has no chat template, so conversations and preferences cannot be rendered; "
            "import a chat model, or train it on text (stage 'cpt') only"
        )
    return _render(tokenizer, messages, tools, opened=True)


def _render(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, tools: list[dict[str, Any]] | None, *, opened: bool
) -> str:
    rendered = tokenizer.apply_chat_template(
        list(messages),
        tools=tools,  # pyright: ignore[reportArgumentType]
        tokenize=False,
        add_generation_prompt=opened,
    )
    return str(rendered)


def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])  # pyright: ignore[reportArgumentType]


def separator(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token between documents: `<|endoftext|>` where the vocabulary has it, else the end-of-sequence token.

    Raises:
        InvalidInput: the tokenizer has neither.
    """
    found = tokenizer.get_vocab().get("<|endoftext|>", tokenizer.eos_token_id)
    if not isinstance(found, int):
        raise InvalidInput("the tokenizer has no end-of-sequence token; set eos_token in its tokenizer_config.json")
    return found
