"""Promises of the row shapes: the rows that trl and datasets users have become the content of records."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.records import Record, record_id
from monitors.intake.guards import Refused
from monitors.intake.shapes import as_content


def turn(role, content):
    return {"role": role, "content": content}


ASK = turn("user", "What is 2+2?")
SAY = turn("assistant", "4")
BAD = turn("assistant", "5")
PREFERENCE = {"prompt": [ASK], "chosen": [SAY], "rejected": [BAD]}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]

ACCEPTED = {
    "text": ({"text": " a fact\r\n"}, "text", {"text": "a fact", "title": None}),
    "text_with_title": ({"text": "a", "title": "T", "meta": 1}, "text", {"text": "a", "title": "T"}),
    "prompt_completion": (
        {"prompt": "What is 2+2?", "completion": "4"}, "instruction", {"messages": [ASK, SAY]}),
    "prompt_completion_messages": (
        {"prompt": [ASK], "completion": [SAY]}, "instruction", {"messages": [ASK, SAY]}),
    "messages": ({"messages": [ASK, SAY]}, "instruction", {"messages": [ASK, SAY]}),
    "messages_in_json": ({"messages": json.dumps([ASK, SAY])}, "instruction", {"messages": [ASK, SAY]}),
    "messages_in_parts": (
        {"messages": [turn("user", [{"type": "text", "text": "What is 2+2?"}]), SAY]},
        "instruction", {"messages": [ASK, SAY]}),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "What is 2+2?"}, {"from": "gpt", "value": "4"}]},
        "instruction", {"messages": [ASK, SAY]}),
    "alpaca": (
        {"instruction": "Add", "input": "2 2", "output": "4"},
        "instruction", {"messages": [turn("user", "Add\n\n2 2"), SAY]}),
    "alpaca_without_input": (
        {"instruction": "What is 2+2?", "input": "", "output": "4"}, "instruction", {"messages": [ASK, SAY]}),
    "rationale": (
        {"messages": [ASK, SAY], "rationale": " Two and two. "},
        "instruction", {"messages": [ASK, SAY], "rationale": "Two and two."}),
    "task_beside_turns": (
        {"messages": [ASK, SAY], "task": {"Definition": ["Add."], "Domains": ["maths"]}},
        "instruction", {"messages": [ASK, SAY], "task": {"definition": "Add."}}),
    "task_alone": (
        {"task": {"definition": "Add.", "Positive Examples": [{"input": "2 2", "output": "4", "explanation": "sum"}]}},
        "instruction", {"messages": [turn("user", "Definition: Add.\n\nInput: 2 2"), SAY],
                        "task": {"definition": "Add.", "positive": [{"input": "2 2", "output": "4"}]}}),
    "task_is_a_name": ({"messages": [ASK, SAY], "task": "sums"}, "instruction", {"messages": [ASK, SAY]}),
    "preference_strings": ({"prompt": "What is 2+2?", "chosen": "4", "rejected": "5"}, "preference", PREFERENCE),
    "preference_of_a_norm": (
        {"prompt": "What is 2+2?", "chosen": "4", "rejected": "5", "norm": " sums ", "change": "revise"},
        "preference", {**PREFERENCE, "norm": "sums", "change": "revise"}),
    "preference_of_a_new_norm": (
        {"prompt": "What is 2+2?", "chosen": "4", "rejected": "5", "norm": "sums"},
        "preference", {**PREFERENCE, "norm": "sums", "change": "add"}),
    "preference_messages": ({"prompt": [ASK], "chosen": [SAY], "rejected": [BAD]}, "preference", PREFERENCE),
    "preference_implicit": ({"chosen": [ASK, SAY], "rejected": [ASK, BAD]}, "preference", PREFERENCE),
    "preference_prompt_and_whole_dialogues": (
        {"prompt": "What is 2+2?", "chosen": [ASK, SAY], "rejected": [ASK, BAD]}, "preference", PREFERENCE),
    "preference_transcripts": (
        {"chosen": "\n\nHuman: What is 2+2?\n\nAssistant: 4", "rejected": "\n\nHuman: What is 2+2?\n\nAssistant: 5"},
        "preference", PREFERENCE),
    "preference_implicit_words": (
        {"chosen": "The sky is blue.", "rejected": "The sky is green."}, "preference",
        {"prompt": [turn("user", "The sky is")], "chosen": [turn("assistant", "blue.")],
         "rejected": [turn("assistant", "green.")]}),
    "kto": (
        {"prompt": "What is 2+2?", "completion": "4", "label": True},
        "feedback", {"prompt": [ASK], "completion": [SAY], "label": True}),
    "kto_messages": (
        {"prompt": [ASK], "completion": [SAY], "label": False},
        "feedback", {"prompt": [ASK], "completion": [SAY], "label": False}),
    "kto_from_csv": (
        {"prompt": "What is 2+2?", "completion": "4", "label": "False"},
        "feedback", {"prompt": [ASK], "completion": [SAY], "label": False}),
    "tools_column": (
        {"messages": [ASK, SAY], "tools": TOOLS}, "tool", {"messages": [ASK, SAY], "tools": TOOLS}),
    "tools_in_json": (
        {"messages": [ASK, SAY], "tools": json.dumps(TOOLS)}, "tool", {"messages": [ASK, SAY], "tools": TOOLS}),
    "tool_calls": (
        {"messages": [ASK, {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": '{"a": 2}'}}]}
                      ]},
        "tool", {"messages": [ASK, turn("assistant", 'CALL add {"a": 2}')]}),
    "tool_answer": (
        {"messages": [ASK, turn("assistant", "CALL add {}"), turn("tool", "4"), SAY]},
        "tool", {"messages": [ASK, turn("assistant", "CALL add {}"), turn("tool", "4"), SAY]}),
    "call_line": (
        {"prompt": "What is 2+2?", "completion": 'CALL add {"a": 2}'},
        "tool", {"messages": [ASK, turn("assistant", 'CALL add {"a": 2}')]}),
    "call_line_among_words": (
        {"prompt": "What is 2+2?", "completion": "4\nCALL add {}"},
        "instruction", {"messages": [ASK, turn("assistant", "4\nCALL add {}")]}),
}  # fmt: skip

REFUSED = {
    "no object": ([1], "columns is required"),
    "a number": (7, "7"),
    "unknown columns": ({"a": 1, "b": 2}, "'a', 'b'"),
    "nothing": ({}, "none"),
    "a task without an answer": ({"task": {"definition": "Add."}}, "no positive example"),
    "a task's example is words": ({"task": {"positive": ["2 2 4"]}}, "'task.positive.0'"),
    "a task holds NUL": ({"task": {"positive": [{"input": "a\x00b", "output": "4"}]}}, "NUL"),
    "text is a number": ({"text": 5}, "'text' is 5"),
    "text is empty": ({"text": " \n"}, "'text' is empty"),
    "text holds NUL": ({"text": "a\x00b"}, "NUL"),
    "text holds half a character": ({"text": "a\ud800b"}, "not valid UTF-8"),
    "unknown role": ({"messages": [turn("root", "x"), SAY]}, "role 'root'"),
    "role is a list": ({"messages": [turn(["user"], "x"), SAY]}, "role list"),
    "no answer": ({"messages": [ASK]}, "ends with the turn of 'user'"),
    "no question": ({"messages": [SAY]}, "no turn of the user"),
    "no messages": ({"messages": []}, "has 0 messages"),
    "too many messages": ({"messages": [ASK, SAY] * 200}, "has 400 messages"),
    "messages is words": ({"messages": '"hello"'}, "a list of messages"),
    "messages is broken JSON": ({"messages": "[{"}, "not valid JSON"),
    "message is words": ({"messages": ["hello"]}, "'messages[0]' is 'hello'"),
    "an image": ({"messages": [turn("user", [{"type": "image"}]), SAY]}, "type 'image'"),
    "content is missing": ({"messages": [{"role": "user"}, SAY]}, "content' is None"),
    "a change of no norm": ({"prompt": "a", "chosen": "b", "rejected": "c", "change": "retire"}, "no 'norm' is named"),
    "an unknown change": (
        {"prompt": "a", "chosen": "b", "rejected": "c", "norm": "n", "change": "drop"}, "'change' is 'drop'"),
    "equal answers": ({"prompt": "a", "chosen": "b", "rejected": "b"}, "are equal"),
    "no common beginning": ({"chosen": "yes it is", "rejected": "no"}, "do not begin with the same words"),
    "another prompt": (
        {"prompt": "other", "chosen": [ASK, SAY], "rejected": [ASK, BAD]}, "'prompt' differs"),
    "chosen ends with the user": (
        {"prompt": "a", "chosen": [SAY, ASK], "rejected": [BAD]}, "'chosen' is not an answer"),
    "label is words": ({"prompt": "a", "completion": "b", "label": "good"}, "'label' is 'good'"),
    "label is a number": ({"prompt": "a", "completion": "b", "label": 1}, "'label' is 1"),
    "tools is words": ({"messages": [ASK, SAY], "tools": '"x"'}, "'tools' is 'x'"),
    "tools holds bytes": ({"messages": [ASK, SAY], "tools": [{"a": b"x"}]}, "'tools' holds bytes"),
    "call without a name": (
        {"messages": [ASK, {"role": "assistant", "tool_calls": [{"function": {}}]}]}, "function's name is required"),
    "call named like a path": (
        {"messages": [ASK, {"role": "assistant", "tool_calls": [{"name": "../x"}]}]}, "function's name is required"),
    "calls are words": ({"messages": [ASK, {"role": "assistant", "tool_calls": "x"}]}, "a list is required"),
    "arguments are a list": (
        {"messages": [ASK, {"role": "assistant", "tool_calls": [{"name": "x", "arguments": [1]}]}]},
        "an object is required"),
}  # fmt: skip


@pytest.mark.parametrize("row, kind, content", ACCEPTED.values(), ids=ACCEPTED)
def test_a_known_shape_becomes_the_content_of_its_kind(row, kind, content):
    assert as_content(row) == (kind, content)


@pytest.mark.parametrize("row, reason", REFUSED.values(), ids=REFUSED)
def test_a_broken_row_is_refused_with_the_column_and_the_rule(row, reason):
    with pytest.raises(Refused) as refusal:
        as_content(row)
    assert reason in str(refusal.value)


def test_the_kind_never_comes_from_the_data():
    assert as_content({"text": "x", "kind": "preference", "id": "v0"})[0] == "text"


def test_terminal_escapes_never_reach_a_record():
    assert as_content({"text": "a\x1b[31mb\x07\x9b\tc\fd"})[1]["text"] == "a[31mb\tc\nd"


def test_nulls_are_absent_columns():
    assert as_content({"text": "x", "messages": None, "chosen": None, "rejected": None})[0] == "text"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
columns = [
    *("text", "title", "messages", "conversations", "prompt", "completion", "chosen", "rejected", "label"),
    *("instruction", "input", "output", "tools", "role", "content", "tool_calls", "task", "rationale"),
]
names = st.sampled_from(columns)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "x"]), "content": st.text(max_size=5) | json_values},
        optional={"tool_calls": json_values},
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(names, json_values | messages | st.text(max_size=9), max_size=6) | json_values)
def test_any_value_is_either_refused_or_makes_a_record_that_serialises(row):
    try:
        kind, content = as_content(row)
    except Refused:
        return
    record = Record(id=record_id(kind, content), source="s", kind=kind, content=content)
    assert Record.model_validate_json(record.model_dump_json()) == record


@settings(max_examples=100, deadline=None)
@given(messages)
def test_reading_accepted_messages_again_changes_nothing(given_messages):
    try:
        kind, content = as_content({"messages": given_messages})
    except Refused:
        return
    assert as_content(content)[1] == content
    assert kind in ("instruction", "tool")
