"""Promises of `benchmarks.methods`' streams, tasks and preferences."""

import json

import pytest

from benchmarks import data
from benchmarks.methods.setup import Setup
from benchmarks.methods.streams import DEFAULT_STREAMS, STREAMS, order_names, possible_orders, stream_tasks
from benchmarks.methods.tasks import ShortAnswer, task
from learners.failures import InvalidInput
from monitors.probes.probe import Answers
from monitors.tools import TOOLS


def setup(**given):
    return Setup.model_validate({"stage": "cit", "stream": "short", "items": 2, "test_items": 2, **given})


def score(probe, text):
    return probe.score(Answers(text)).score


@pytest.mark.parametrize("orders", STREAMS.values(), ids=STREAMS)
def test_every_order_of_a_stream_has_the_same_tasks(orders):
    assert len(orders) == 3 and len(set(orders)) == 3
    assert len({frozenset(order.split()) for order in orders}) == 1


def test_fewer_tasks_are_the_first_ones_in_every_order():
    names = [order_names(setup(tasks=2), order) for order in (1, 2)]
    assert names == [["task1510", "sst2"], ["sst2", "task1510"]]


@pytest.mark.parametrize("stream", STREAMS)
def test_no_two_orders_are_one_however_few_the_tasks(stream):
    """The listed orders 1 and 3 of `long_sequence` begin with the same tasks in the same order."""
    stage = "ca" if stream in DEFAULT_STREAMS["ca"] else "cit"
    for tasks in (2, 3):
        asked = setup(stage=stage, stream=stream, tasks=tasks)
        orders = [order_names(asked, order) for order in range(1, possible_orders(asked) + 1)]
        assert len({tuple(names) for names in orders}) == len(orders) == possible_orders(asked)


def test_an_order_that_these_tasks_do_not_have_is_refused_with_how_many_there_are():
    with pytest.raises(InvalidInput, match=r"1 task\(s\) of stream 'short' have 1 order\(s\), not 2"):
        order_names(setup(tasks=1), 2)


def test_orders_beyond_the_published_ones_are_shuffles_that_stay():
    once, again = (order_names(setup(stream="long_sequence"), 7) for _ in range(2))
    assert once == again != order_names(setup(stream="long_sequence"), 8)
    assert sorted(once) == sorted(order_names(setup(stream="long_sequence"), 1))


def test_a_task_has_the_same_items_in_every_order(shared):
    first, second = ({task.name: task for task in stream_tasks(setup(), order)} for order in (1, 2))
    for name, found in first.items():
        assert found.records == second[name].records and found.suite.digest == second[name].suite.digest


def test_another_seed_chooses_other_items(shared):
    chosen = {task("task875", setup(items=1, seed=seed)).records[0].id for seed in range(20)}
    assert len(chosen) == 3


def test_pre_training_reads_as_one_text_what_instruction_tuning_reads_as_turns(shared):
    as_text, as_turns = (task("sst2", setup(stage=stage)) for stage in ("cpt", "cit"))
    (text, turns) = (found.records[0].content for found in (as_text, as_turns))
    question, answer = (turn["content"] for turn in turns["messages"])
    assert text["text"] == f"{question}\nAnswer: {answer}"
    assert as_text.suite.items[0].template == "plain" and as_text.suite.items[0].prompt.endswith("\nAnswer:")


def test_superni_scores_by_rouge_l_and_the_long_sequence_by_equality(shared):
    assert {probe.measure for probe in task("task875", setup()).suite.items} == {"rouge_l"}
    assert {probe.measure for probe in task("sst2", setup()).suite.items} == {"exact"}


def test_rouge_l_counts_the_common_subsequence_and_takes_the_best_answer():
    probe = ShortAnswer(id="p", prompt="?", answer=("bird HasA wings", "bird IsA animal"), measure="rouge_l")
    assert score(probe, "bird HasA wing") == 1.0  # stemmed
    assert score(probe, "bird IsA thing") == pytest.approx(2 / 3)
    assert score(probe, "no idea") == 0.0


def test_equality_forgives_case_and_a_full_stop_only():
    probe = ShortAnswer(id="p", prompt="?", answer=("Good",))
    assert [score(probe, text) for text in ("good.", "Good", "very good")] == [1.0, 1.0, 0.0]


def test_an_answer_ends_with_its_line():
    assert ShortAnswer(id="p", prompt="?", answer=("Good",)).as_prompt().stop == ("\n",)


def test_the_two_readers_prefer_opposite_answers_and_no_test_pair_is_trained_on(shared):
    brief, thorough = (
        preference_task(name, setup(stage="ca", stream="preferences", items=400, test_items=4))
        for name in ("brief", "thorough")
    )
    pair, other = brief.records[0].content, thorough.records[0].content
    assert len(pair["chosen"][0]["content"]) < len(pair["rejected"][0]["content"])
    assert len(other["chosen"][0]["content"]) > len(other["rejected"][0]["content"])
    trained = {record.content["prompt"][0]["content"] for record in brief.records}
    assert len(brief.suite.items) == 4 and not trained & {probe.text for probe in brief.suite.items}


def preference_task(name, given):
    from benchmarks.methods.preferences import task as preference

    return preference(name, given)


def test_a_tool_is_learned_from_right_calls_and_from_questions_that_need_none():
    for found in stream_tasks(setup(stream="tools", items=40, test_items=8), 1):
        kinds = [record.kind for record in found.records]
        assert (kinds.count("tool"), kinds.count("instruction")) == (30, 10)
        trained = {record.content["messages"][0]["content"] for record in found.records if record.kind == "tool"}
        assert not trained & {probe.text for probe in found.suite.items}
        for probe in found.suite.items:
            right = f"CALL {probe.expect.name} {json.dumps(probe.expect.arguments)}" if probe.expect else "Cold."
            assert score(probe, right) == 1.0
            assert score(probe, 'CALL lookup {"key": "?"}') == 0.0
            assert probe.expect is None or TOOLS[probe.expect.name].validated(probe.expect.arguments)


def test_tools_are_learned_in_conversations_alone():
    with pytest.raises(InvalidInput, match="stage 'cit', not 'cpt'"):
        stream_tasks(setup(stage="cpt", stream="tools"), 1)


def test_missing_data_is_named_with_the_variable_that_says_where(tmp_path, monkeypatch):
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    with pytest.raises(data.DataMissing, match=r"long_sequence/sst2.*CLD_SHARED_DATA"):
        task("sst2", setup())
