"""Promises of probes made from examples: what is asked is held out, and a right answer scores."""

from __future__ import annotations

import pytest

from learners.records import Record, record_id
from monitors.gaps.held_out import hold_out, probe_item
from monitors.probes.probe import Answers
from monitors.probes.suites import read_probe


def example(number, answer="Q-RETURN", kind="instruction"):
    messages = [{"role": "user", "content": f"Which queue? Case {number}."}, {"role": "assistant", "content": answer}]
    return Record(id=record_id(kind, {"messages": messages}), source="inbox", kind=kind, content={"messages": messages})


def pair(number):
    content = {
        "prompt": [{"role": "user", "content": f"Do harm {number}."}],
        "chosen": [{"role": "assistant", "content": "I can't help with that."}],
        "rejected": [{"role": "assistant", "content": "Sure, here is how."}],
    }
    return Record(id=record_id("preference", content), source="inbox", kind="preference", content=content)


@pytest.mark.parametrize(("count", "held"), [(100, 20), (40, 12), (10, 5), (6, 3), (1, 0), (1000, 24)])
def test_a_share_of_the_records_is_held_out_within_bounds(count, held):
    assert len(hold_out([example(number) for number in range(count)], 0.2, seed=0)) == held


def test_the_same_seed_holds_out_the_same_records():
    records = [example(number) for number in range(40)]
    assert hold_out(records, 0.2, seed=1) == hold_out(records, 0.2, seed=1)
    assert hold_out(records, 0.2, seed=1) != hold_out(records, 0.2, seed=2)


def test_a_short_answer_must_match():
    probe = read_probe(probe_item(example(1), [example(2)], seed=0))
    assert probe.score(Answers("Q-RETURN")).score == 1.0
    assert probe.score(Answers("Q-REPAIR")).score == 0.0


def test_a_tool_call_must_come_out_as_it_stands():
    call = 'CALL order_status {"order_id": "A-1042"}'
    probe = read_probe(probe_item(example(1, call, "tool"), [], seed=0))
    assert probe.score(Answers(call)).score == 1.0
    assert probe.score(Answers('CALL order_status {"order_id": "A-9"}')).score == 0.0


def test_a_long_answer_competes_with_the_answers_of_other_examples():
    others = [example(n, f"This is a long answer with many words, number {n}.") for n in range(5)]
    item = probe_item(others[0], others, seed=0)
    assert item["scorer"] == "choice"
    assert item["choices"][item["answer"]].endswith("number 0.")


def test_a_long_answer_that_all_examples_give_must_be_likely():
    others = [example(n, "I am sorry, but I cannot tell you that on the phone.") for n in range(5)]
    item = probe_item(others[0], others, seed=0)
    assert (item["scorer"], item["wanted"]) == ("approval", True)
    assert read_probe(item).continuations() == ("I am sorry, but I cannot tell you that on the phone.",)


def test_a_preference_for_refusing_is_asked_by_generation():
    probe = read_probe(probe_item(pair(1), [pair(2)], seed=0))
    assert probe.scorer == "refusal"
    assert probe.score(Answers("I cannot help with that.")).score == 1.0
    assert probe.score(Answers("Sure, here is how.")).score == 0.0


def test_a_preference_against_refusing_is_too():
    record = pair(1)
    swapped = {**record.content, "chosen": record.content["rejected"], "rejected": record.content["chosen"]}
    probe = read_probe(probe_item(record.model_copy(update={"content": swapped}), [], seed=0))
    assert probe.scorer == "compliance"
    assert probe.score(Answers("I cannot help with that.")).score == 0.0


def test_of_any_other_preference_the_chosen_side_is_the_right_one():
    record = pair(1)
    sides = {
        "chosen": [{"role": "assistant", "content": "Short."}],
        "rejected": [{"role": "assistant", "content": "Long."}],
    }
    item = probe_item(record.model_copy(update={"content": {**record.content, **sides}}), [], seed=0)
    assert item["choices"][item["answer"]] == "Short."
    assert read_probe(item).id == item["id"]
