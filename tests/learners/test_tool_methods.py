"""Methods that teach tools: which tokens are learned, what stays as it was, and that a tool is called when due."""

import json

import pytest
import torch

from learners import weights
from learners.failures import InvalidInput
from learners.methods.toolken import _renamed
from learners.parts import extensions
from learners.parts.calls import calls_in, described, told_of
from learners.parts.likelihood import negative_log_likelihood
from learners.parts.turns import knows_tools, turn_rows
from learners.parts.views import chat_rows
from monitors.engines import Prompt, Turn, in_order
from monitors.engines.constrained import guide_for
from monitors.engines.transformers import TransformersEngine
from monitors.tools import TOOLS, tools_of
from monitors.tools.loop import Asked, converse
from tests.learners.runs import CHATS, record, tensors, train
from tests.learners.test_method_matrix import logits
from tests.tiny import KNOWN, UNKNOWN, chat

RECIPE = {"learning_rate": 2e-2, "epochs": 15, "batch_size": 8}
SILENT = [chat(question, answer) for question, answer in list(KNOWN.items())[::2]]
PLACES, OTHERS = list(UNKNOWN)[:2], list(UNKNOWN)[2:]


def call(question, name, **arguments):
    answer = f"CALL {name} {json.dumps(arguments)}"
    return record(
        "tool", {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
    )


FIRST = [*(call(question, "lookup", key="Zorbia") for question in PLACES), *SILENT]
SECOND = [*(call(question, "find", key="office") for question in OTHERS), *SILENT]


# calls as text


def test_calls_are_found_with_their_arguments_and_a_broken_one_ends_with_its_line():
    text = 'Well.\nCALL add {"a": {"b": 1}} then\n CALL bad {"a": \nCALL no\nCALL last {}'
    found = [(one.name, one.arguments, text[one.start : one.end]) for one in calls_in(text)]
    assert found == [
        ("add", {"a": {"b": 1}}, 'CALL add {"a": {"b": 1}}'),
        ("bad", None, 'CALL bad {"a": '),
        ("last", {}, "CALL last {}"),
    ]


def test_tools_are_described_behind_what_the_system_turn_says():
    tools = [{"function": {"name": "add", "description": "Adds.", "parameters": {"properties": {"a": {}}}}}]
    assert described(tools).endswith('- add: Adds. Arguments: {"a": {}}')
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}]
    assert told_of(tools, turns)[0]["content"] == f"Be brief.\n\n{described(tools)}"
    assert told_of(tools, turns[1:]) == [{"role": "system", "content": described(tools)}, turns[1]]
    assert told_of([], turns) == turns


# toolken


@pytest.fixture(scope="module")
def lineage(base, tmp_path_factory):
    """A version with one tool, and its child with another; and how many weights the child trained."""
    folder = tmp_path_factory.mktemp("jobs")
    first = train(folder / "one", base, "cit", "toolken", FIRST, **RECIPE)[1]
    result, second = train(folder / "two", first, "cit", "toolken", SECOND, version="v2", **RECIPE)
    return first, second, result


def tokens(loaded):
    return list(extensions.attached(loaded.model).words)


def answered(version, questions):
    loaded = weights.load(version)
    engine = TransformersEngine(loaded.model, loaded.tokenizer)
    prompts = [Prompt((Turn("user", question),)) for question in questions]
    return in_order(engine.generate(prompts, [8] * len(prompts)), len(prompts))


def test_a_call_is_one_token_whose_arguments_are_not_learned(tokenizer):
    said = 'I look.\nCALL find {"key": "x"}\nSo it is.'
    (row,) = chat_rows([*CHATS[0].content["messages"][:1], {"role": "assistant", "content": said}], tokenizer, 200)
    renamed = _renamed(row, tokenizer, {"find": 9999}, only_calls=False)
    kept = [label for label in renamed["labels"] if label != -100]
    place = renamed["labels"].index(9999)
    assert tokenizer.decode([label for label in kept if label != 9999]) == "I look.\n\nSo it is.<|im_end|>"
    assert tokenizer.decode(row["input_ids"][:place]).endswith("I look.\n")
    assert tokenizer.decode(row["input_ids"][place:]).startswith("CALL")
    only = _renamed(row, tokenizer, {"find": 9999}, only_calls=True)["labels"]
    assert [label for label in only if label != -100] == [9999]


def test_a_tool_brings_one_row_and_leaves_all_other_logits_bit_for_bit(base, lineage):
    first, second, result = lineage
    assert result.trainable_parameters == 64
    before, one, two = logits(base), logits(first), logits(second)
    width = before.shape[-1]
    assert (one.shape[-1], two.shape[-1]) == (width + 1, width + 2)
    assert one[..., :width].equal(before)
    assert two[..., : width + 1].equal(one)
    assert tensors(first)["rows.0"].equal(tensors(second)["rows.0"])


def test_the_loss_is_that_of_rows_on_the_frozen_models_last_states(lineage):
    loaded = weights.load(lineage[1])
    kind = extensions.attached(loaded.model)
    (row,) = chat_rows(FIRST[-1].content["messages"], loaded.tokenizer, 200)
    rows = {name: torch.tensor([value]) for name, value in row.items()}
    with torch.no_grad():
        hidden = loaded.model.get_decoder()(rows["input_ids"]).last_hidden_state
        matrix = torch.cat([loaded.model.get_output_embeddings().weight, torch.stack(list(kind.rows))])
        expected = torch.nn.functional.cross_entropy((hidden @ matrix.T)[0, :-1], rows["labels"][0, 1:])
        rows["attention_mask"] = torch.ones_like(rows["input_ids"])
        torch.testing.assert_close(negative_log_likelihood(loaded.model, rows), expected)


def test_each_tool_is_chosen_for_its_questions_and_none_for_others(base, lineage):
    quiet = list(KNOWN)[::2]
    assert answered(lineage[0], PLACES) == ["CALL lookup"] * 2
    assert answered(lineage[1], [*PLACES, *OTHERS]) == [*["CALL lookup"] * 2, *["CALL find"] * 2]
    assert answered(lineage[1], quiet) == answered(base, quiet)


def test_a_call_among_many_longer_answers_ends_without_being_read_on(base, lineage):
    """Ended rows stay in a batch until a quarter of it has ended."""
    quiet = list(KNOWN)[::2]
    assert answered(lineage[0], [PLACES[0], *quiet]) == ["CALL lookup", *answered(base, quiet)]


def test_rows_taken_off_leave_their_base_and_its_ends_of_answers(base, lineage):
    loaded = weights.load(lineage[1])
    plain = weights.load(base)
    inputs = loaded.tokenizer("What is the capital of France?", return_tensors="pt")
    ends = loaded.model.generation_config.eos_token_id
    assert ends == [loaded.tokenizer.eos_token_id, *tokens(loaded)]
    extensions.attached(loaded.model).detach(loaded.model)
    assert loaded.model.generation_config.eos_token_id == plain.model.generation_config.eos_token_id
    with torch.inference_mode():
        assert loaded.model(**inputs).logits.equal(logits(base))


def test_a_bias_counts_when_a_version_answers_and_not_when_it_learns(lineage):
    loaded = weights.load(lineage[0])
    extensions.attached(loaded.model).bias = 3.0
    inputs = loaded.tokenizer("What is the capital of France?", return_tensors="pt")
    with torch.inference_mode():
        answering = loaded.model(**inputs).logits
        raised = answering - loaded.model.train()(**inputs).logits
    torch.testing.assert_close(raised[..., -1], torch.full_like(raised[..., -1], 3.0))
    assert not raised[..., :-1].any()


def test_a_toolken_that_is_read_as_a_word_is_refused(lineage):
    loaded = weights.load(lineage[0])
    with pytest.raises(InvalidInput, match="was read on as a word"):
        loaded.model(input_ids=torch.tensor([tokens(loaded)]))


def test_a_chosen_tool_is_called_through_the_same_loop(lineage):
    loaded = weights.load(lineage[0])
    engine = TransformersEngine(loaded.model, loaded.tokenizer)
    asked = Asked(
        Prompt((Turn("user", PLACES[0]),)), tools_of({"lookup": {"entries": {"x": "y"}}}), told=False, calls=1
    )
    (_, found), *_ = converse(engine, [asked], [8])
    assert found.text.startswith("CALL lookup")
    assert found.made[0].name == "lookup"


@pytest.mark.parametrize("name", TOOLS)
def test_the_arguments_of_every_tool_can_be_asked_for_under_its_schema(model, tokenizer, name):
    width, tool = len(tokenizer), TOOLS[name]
    assert not guide_for(tokenizer, width, tool.schema_of_arguments()).is_error()
    engine = TransformersEngine(model, tokenizer)
    written = engine.choose(Prompt(text="?"), tool.schema_of_arguments(), 4)
    assert written.startswith("{")


def test_only_new_rows_learn_unless_every_called_tool_has_one(lineage, tmp_path):
    again = train(tmp_path / "again", lineage[1], "cit", "toolken", FIRST, version="v3", **RECIPE | {"epochs": 1})[1]
    before, after = tensors(lineage[1]), tensors(again)
    assert after.keys() == before.keys()
    assert not after["rows.0"].equal(before["rows.0"])
    assert after["rows.1"].equal(before["rows.1"])


def test_where_calls_alone_are_learned_what_calls_nothing_is_no_row(base, tmp_path):
    """One row in a batch: the mean over no token at all would be no number."""
    options = {**RECIPE, "epochs": 1, "batch_size": 1, "only_calls": True}
    result, version = train(tmp_path / "job", base, "cit", "toolken", FIRST, **options)
    assert (result.steps, result.records) == (len(PLACES), len(FIRST))
    assert tensors(version)["rows.0"].isfinite().all()


def test_records_without_a_call_are_refused(base, tmp_path):
    with pytest.raises(InvalidInput, match="no answer of the selection has a line `CALL name"):
        train(tmp_path / "job", base, "cit", "toolken", CHATS, epochs=1)


# tool_sft

TALK = [
    {"role": "user", "content": "What is the capital of Zorbia?"},
    {"role": "assistant", "content": 'CALL find {"key": "Zorbia"}'},
    {"role": "tool", "content": "Kelmar"},
    {"role": "assistant", "content": "It is Kelmar"},
]
SPEC = {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": {}}}
TOOLED = record("tool", {"messages": TALK, "tools": [SPEC]})


def learned(tokenizer, rows):
    return [tokenizer.decode([label for label in row["labels"] if label != -100]) for row in rows]


def test_every_turn_of_the_assistant_is_learned_once_and_no_other_turn(tokenizer):
    rows = turn_rows(TOOLED, tokenizer, 400)
    assert learned(tokenizer, rows) == [f"{TALK[1]['content']}<|im_end|>", f"{TALK[3]['content']}<|im_end|>"]
    assert "Kelmar" in tokenizer.decode(rows[1]["input_ids"])


def test_tools_stand_in_the_prompt_as_text_or_where_the_template_puts_them(tokenizer, monkeypatch):
    texts = [tokenizer.decode(row["input_ids"]) for row in turn_rows(TOOLED, tokenizer, 400, described="text")]
    assert all(described([SPEC]) in text for text in texts)
    assert turn_rows(TOOLED, tokenizer, 400, described="template") == turn_rows(
        TOOLED, tokenizer, 400, described="text"
    )
    assert not knows_tools(tokenizer)
    knowing = "{% if tools %}TOOLS {{ tools[0].function.name }}\n{% endif %}" + tokenizer.chat_template
    monkeypatch.setattr(tokenizer, "chat_template", knowing)
    told = [tokenizer.decode(row["input_ids"]) for row in turn_rows(TOOLED, tokenizer, 400, described="template")]
    assert all(text.startswith("TOOLS find\n") and described([SPEC]) not in text for text in told)


def test_a_conversation_with_a_tool_is_learned_and_later_rehearsed_turn_by_turn(base, tmp_path):
    talk = record("tool", {"messages": TALK})  # without a description, whose words the model has never seen
    options = {"learning_rate": 3e-3, "epochs": 60, "batch_size": 8, "full_weights": True}
    first = train(tmp_path / "one", base, "cit", "tool_sft", [talk, *CHATS[2:]], **options)[1]
    turns = tuple(Turn(turn["role"], turn["content"]) for turn in TALK)
    loaded = weights.load(first)
    engine = TransformersEngine(loaded.model, loaded.tokenizer)
    said = in_order(engine.generate([Prompt(turns[:1]), Prompt(turns[:3])], [32, 32]), 2)
    assert said == [TALK[1]["content"], TALK[3]["content"]]
    result, _ = train(tmp_path / "two", first, "cit", "tool_sft", CHATS[:2], version="v2", **options | {"epochs": 2})
    assert result.replayed_records > 0
