"""The loop of a model with tools: what it is told, what it reads back, and where it ends."""

import pytest
import yaml

from monitors.engines import Prompt, Turn
from monitors.engines.openai import _messages
from monitors.engines.scripted import Answers, ScriptedEngine
from monitors.job import EngineSettings
from monitors.measure import measurements
from monitors.probes.probe import Answers as Answered
from monitors.probes.scorers import ToolCall
from monitors.probes.suites import Suite, SuiteError, read_probe
from monitors.tools import tools_of
from monitors.tools.loop import Asked, Limits, converse, last_words
from tests.monitors import planted_tools

QUESTION = "How much is 3 plus 4?"
CALL = 'CALL calculator {"expression": "3 + 4"}'
TOOLS = tools_of({"calculator": {}})


class Listening(ScriptedEngine):
    """Remembers what it was asked."""

    def __init__(self, answers, default=None):
        super().__init__(Answers(answers=answers, default=default))
        self.prompts = []

    def generate(self, prompts, max_new_tokens):
        self.prompts += prompts
        return super().generate(prompts, max_new_tokens)

    def choose(self, prompt, schema, max_new_tokens):
        self.prompts.append(prompt)
        return super().choose(prompt, schema, max_new_tokens)


def talk(engine, question=QUESTION, tools=TOOLS, *, told=True, calls=None):
    prompt = question if isinstance(question, Prompt) else Prompt((Turn("user", question),))
    return dict(converse(engine, [Asked(prompt, tools, told, calls)], [64], Limits()))[0]


@pytest.mark.slow
def test_a_call_is_run_and_the_model_goes_on_from_its_result():
    engine = Listening({QUESTION: f"Let me see.\n{CALL}\nIt is 8.", "7": "It is 7."})
    found = talk(engine)
    assert found.text == f"Let me see.\n{CALL}\nRESULT 7\nIt is 7."
    assert (found.answer, found.made[0].arguments) == ("It is 7.", {"expression": "3 + 4"})
    assert engine.prompts[1].turns[2:] == (Turn("assistant", f"Let me see.\n{CALL}"), Turn("tool", "7"))


@pytest.mark.usefixtures("_at_once")
def test_tools_are_described_to_a_model_that_is_to_be_told_and_to_no_other():
    engine = Listening({QUESTION: "It is 7."})
    talk(engine)
    talk(engine, told=False)
    assert (
        '- calculator: Computes an arithmetic expression. Arguments: {"expression"'
        in engine.prompts[0].turns[0].content
    )
    assert engine.prompts[1].turns == (Turn("user", QUESTION),)


@pytest.mark.usefixtures("_at_once")
def test_a_plain_text_goes_on_with_call_and_result_in_its_lines_and_stops_where_a_result_would_be_invented():
    after = f"Q: 3 plus 4?\nA:{CALL}\nRESULT 7\n"
    engine = Listening({"Q: 3 plus 4?\nA:": f"{CALL}\nRESULT 99", after: " 7."})
    assert talk(engine, Prompt(text="Q: 3 plus 4?\nA:"), told=False).text == f"{CALL}\nRESULT 7\n 7."
    assert "\nRESULT " in engine.prompts[0].stop


@pytest.mark.usefixtures("_at_once")
def test_a_call_without_arguments_is_asked_for_them_after_the_tools_examples():
    engine = Listening({QUESTION: "Well, CALL calculator", "7": "Seven."}, default='{"expression": "3 + 4"}')
    found = talk(engine)
    assert found.text == f"Well, \n{CALL}\nRESULT 7\nSeven."
    asked = engine.prompts[1].text
    assert asked.endswith(f"Question: {QUESTION}\nWell,\nArguments of calculator:\n")
    assert 'Question: Divide 90 by 8.\nArguments of calculator:\n{"expression": "90 / 8"}' in asked


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize(("written", "told"), [
    ('CALL calculator {"expresion": "3"}', "ERROR: wrong arguments of calculator: expression: Field required"),
    ('CALL calculator {"expression": ', "ERROR: the arguments of calculator are no JSON object"),
    ('CALL calculator {"expression": "3/0"}', "ERROR: division by zero"),
    ('CALL shell {"command": "true"}', "ERROR: no tool is called shell; there are: calculator"),
    ("CALL shell", "ERROR: no tool is called shell; there are: calculator"),
])  # fmt: skip
def test_a_call_that_cannot_be_answered_gives_the_model_a_short_reason(written, told):
    found = talk(Listening({QUESTION: written}, default="Sorry."))
    assert found.made[0].result.text.startswith(told)
    assert found.answer == "Sorry."


@pytest.mark.usefixtures("_at_once")
def test_an_endless_caller_is_ended_by_the_cap():
    engine = Listening({}, default=CALL)
    found = talk(engine)
    assert (len(found.made), found.answer, len(engine.prompts)) == (4, "", 4)
    assert len(talk(engine, calls=1).made) == 1


@pytest.mark.usefixtures("_at_once")
def test_a_long_result_is_cut_and_cannot_pass_for_turns_of_the_conversation():
    found = talk(Listening({QUESTION: "CALL planted {}"}, default="Done."), tools=(planted_tools.Talks(),))
    assert len(found.made[0].result.text) == 500
    assert (found.text.count("\n"), found.answer) == (2, "Done.")


@pytest.mark.usefixtures("_at_once")
def test_conversations_go_on_side_by_side_and_each_gets_its_own():
    engine = Listening({"a": 'CALL calculator {"expression": "1+1"}', "b": "No need.", "2": "Two."})
    asked = [Asked(Prompt((Turn("user", one),)), TOOLS) for one in "aba"]
    found = dict(converse(engine, asked, [64] * 3))
    assert [found[index].answer for index in range(3)] == ["Two.", "No need.", "Two."]
    assert len(engine.prompts) == 5


# the probe


def probe(**keys):
    return ToolCall.model_validate({"id": "a", "prompt": QUESTION, **keys})


EXPECTED = {"name": "calculator", "arguments": {"expression": "3 + 4"}}
FOUND = f"{CALL}\nRESULT 7\nIt is 7."


@pytest.mark.parametrize(("keys", "text", "score"), [
    ({"expect": None}, "It is 7.", 1.0),
    ({"expect": None}, FOUND, 0.0),
    ({"expect": None}, "", 0.0),
    ({"expect": None}, " \n", 0.0),
    ({"expect": None, "tools": {"calculator": {}}}, "...", 0.0),
    ({"expect": None}, "7", 1.0),
    ({"expect": None}, "CALL calculator", 0.0),
    ({"expect": EXPECTED}, "It is 7.", 0.0),
    ({"expect": EXPECTED, "tools": {"calculator": {}}, "answer": "7"}, FOUND, 1.0),
    ({"expect": EXPECTED, "tools": {"calculator": {}}, "answer": "7"}, f"{CALL}\nRESULT 7\nEight.", 0.0),
    ({"expect": EXPECTED, "tools": {"calculator": {}}, "answer": "7"}, f"{CALL}\nRESULT 7", 0.0),
    ({"expect": None, "tools": {"calculator": {}}, "answer": "7"}, "It is 7.", 1.0),
])  # fmt: skip
def test_a_probe_wants_the_right_call_the_right_last_words_and_no_call_where_none_is_due(keys, text, score):
    assert probe(**keys).score(Answered(text)).score == score


def test_the_first_call_ends_a_conversation_that_is_about_the_call_alone():
    tools = {"calculator": {}}
    assert probe(expect=EXPECTED, tools=tools, told=False).asks().conversation.calls == 1
    assert probe(expect=EXPECTED, tools=tools, answer="7").asks().conversation.calls is None
    assert probe(expect=EXPECTED).asks().generate


@pytest.mark.parametrize(("keys", "told"), [
    ({}, "'expect' is missing"), ({"expect": None, "tools": {"calc": {}}}, "no tool is called 'calc'"),
    ({"expect": None, "answer": "7"}, "name the 'tools'"),
])  # fmt: skip
def test_a_probe_of_unknown_tools_or_without_its_call_is_refused(keys, told):
    with pytest.raises(SuiteError, match=told):
        read_probe({"id": "a", "scorer": "tool_call", "prompt": QUESTION, **keys})


@pytest.mark.usefixtures("_at_once")
def test_a_suite_is_measured_with_calls_that_are_run():
    item = """
      {id: sum, scorer: tool_call, prompt: "How much is 3 plus 4?", tools: {calculator: {}},
       expect: {name: calculator, arguments: {expression: 3 + 4}}, answer: "7"}"""
    asked = read_probe(yaml.safe_load(item))
    suite = Suite(suite="sums", role="target", items=(asked, probe(expect=None).model_copy(update={"id": "b"})))
    engine = ScriptedEngine(Answers(answers={QUESTION: CALL, "7": "It is 7."}))
    rows = measurements(engine, "v1", [(suite, one) for one in suite.items], EngineSettings(kind="scripted"))
    assert {row.probe: row.score for row in rows} == {"sum": 1.0, "b": 0.0}


def test_an_endpoint_reads_a_result_as_what_a_user_says():
    assert _messages(Prompt((Turn("assistant", CALL), Turn("tool", "7"))))[1] == {"role": "user", "content": "7"}


def test_last_words_stand_behind_the_last_result():
    assert last_words(FOUND) == "It is 7."
    assert last_words(f"{CALL}\nRESULT 7") == ""
    assert last_words("plain") == "plain"
