"""Promises of `benchmarks.methods.lacking`: a number never stands for a method that did not get what it is made for."""

import json

import pytest

from benchmarks import data
from benchmarks.methods import choosing, report
from benchmarks.methods.lacking import lacking, left_out
from benchmarks.methods.one_run import run
from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import Run, RunResult, Setup
from benchmarks.methods.streams import DEFAULT_STREAMS, QUICK_STREAMS, STREAMS
from benchmarks.methods.tasks import given, task
from learners.failures import InvalidInput
from learners.methods import methods
from learners.parts.instructions import distinct

SETUP = Setup(stage="cit", stream="short", tasks=2, items=2, test_items=2)
EVERY = [
    Setup(stage=stage, stream=stream)
    for stage, streams in DEFAULT_STREAMS.items()
    for stream in sorted({*streams, QUICK_STREAMS[stage], *({"tools"} if stage == "cit" else ())})
]


def result(method, kept):
    scores = ((0.1, 0.1), (0.9, 0.1), (kept, 0.9))
    return RunResult(method=method, order=1, tasks=("a", "b"), scores=scores, seconds=60.0)


FOUND = Comparison(SETUP, [result("finetune", 0.2), result("replay", 0.5), result("rcl", 0.9)])


@pytest.mark.parametrize("setup", EVERY, ids=lambda setup: f"{setup.stage}-{setup.stream}")
def test_what_is_lacking_is_said_of_methods_that_the_stage_has(setup):
    assert setup.stream in STREAMS
    assert lacking(setup).keys() <= {name for name, info in methods().items() if setup.stage in info.stages}


def test_a_row_that_says_nothing_of_its_method_is_marked_with_the_reason_and_wins_nothing():
    text = report.section(FOUND, "python -m benchmarks.methods", [])
    assert "| rcl* | 1 |" in text and "| replay | 1 |" in text
    assert "(*) Not comparable here: `rcl`: no record brings a rationale" in text
    assert "`replay` forgets least: 0.400" in text


def test_who_is_left_out_is_named_once_for_each_reason():
    text = report.section(FOUND, "x", [])
    assert "Left out: `recycle`: it carries over" in text and "`toolken`: no record calls a tool." in text
    pairs = Comparison(Setup(stage="ca", stream="pairs"), [result("dpo", 0.9)])
    assert "Left out: `ppo`, `cppo`: it learns from its own answers" in report.section(pairs, "x", [])


def test_the_terminal_and_json_say_it_too():
    assert "(*) Not comparable here: rcl" in str(report.tables(FOUND)[0].caption)
    rows = json.loads(json.dumps(report.as_json(FOUND, "x")))["methods"]
    told = {row["method"]: row["not_comparable"] for row in rows}
    assert told["replay"] is None and told["rcl"].startswith("no record brings a rationale")


def test_the_page_that_helps_to_choose_does_not_rank_it():
    page = choosing.page({name: methods()[name] for name in ("finetune", "replay", "rcl")}, [FOUND])
    ranking, _, rest = page.partition("Measured, and not ranked, because these tasks lack what it needs:\n\n")
    assert "`rcl`" not in ranking and rest.startswith("- `rcl`: no record brings a rationale")
    assert "does not know them: `rcl`." in rest


def test_a_method_that_cannot_learn_the_stream_is_refused_with_the_reason(tmp_path):
    for stage, stream, name in (("ca", "pairs", "ppo"), ("cit", "short", "safety_mix"), ("cpt", "short", "recycle")):
        setup = Setup(stage=stage, stream=stream)
        with pytest.raises(InvalidInput, match=f"'{name}' is left out: {left_out(setup)[name][:20]}"):
            run(Run(setup=setup, method=name, order=1, base=tmp_path), tmp_path / name)


def test_who_learns_from_its_own_answers_learns_where_a_rule_can_tell_them_apart():
    assert {"ppo", "cppo"} <= left_out(Setup(stage="ca", stream="preferences")).keys()
    assert not left_out(Setup(stage="ca", stream="rules"))


def test_calls_are_lacking_where_there_are_none_and_not_where_they_are_learned():
    assert {"toolken", "tool_sft"} <= lacking(SETUP).keys()
    assert {"toolken", "tool_sft"}.isdisjoint(lacking(SETUP.model_copy(update={"stream": "tools"})))


def test_wrong_examples_of_a_task_come_with_its_first_record_to_the_method_that_learns_from_them(shared, monkeypatch):
    told = {
        "Positive Examples": [{"input": "up", "output": "down", "explanation": "The opposite."}],
        "Negative Examples": [{"input": "up", "output": "up", "explanation": "The same."}],
    }
    read = data.read
    monkeypatch.setattr(data, "read", lambda name: read(name) | (told if "task875" in name else {}))
    found = task("task875", Setup(stage="cit", stream="short", items=3, test_items=1))
    (instruction,) = distinct(given(found, "instruction_speak"))
    assert (instruction.definition, instruction.negative[0].output) == ("Answer.", "up")
    assert "task" in given(found, "instruction_speak")[0].content
    assert given(found, "replay") == found.records
    assert given(task("sst2", SETUP), "instruction_speak") == task("sst2", SETUP).records
