"""Promises of `benchmarks.methods`' preference tasks: what a pair is, and which norms replace each other."""

import pytest

from benchmarks.methods.preferences import task
from benchmarks.methods.setup import Setup
from benchmarks.methods.streams import STREAMS, in_force, order_names, stream_tasks

SETUP = Setup(stage="ca", stream="preferences", items=400, test_items=4)

KEPT = {
    "lowercase": str.islower,
    "capital": str.isupper,
    "no comma": lambda text: "," not in text,
    "In short": lambda text: text.startswith("In short"),
    "That is all": lambda text: text.endswith("That is all."),
    "asterisks": lambda text: text.startswith("**") and text.endswith("**"),
    "JSON": lambda text: text.startswith('{"reply": '),
    "bullet": lambda text: all(line.startswith("- ") for line in text.splitlines()),
}


def pairs(name):
    found = task(name, SETUP)
    contents = [record.content for record in (*found.records, *found.held_out)]
    return [
        (one["prompt"][-1]["content"], one["chosen"][0]["content"], one["rejected"][0]["content"]) for one in contents
    ]


def test_a_form_is_kept_by_the_preferred_answer_and_broken_by_the_other(shared):
    seen = set()
    for request, preferred, other in pairs("format"):
        (name,) = [name for name in KEPT if name in request.split("\n\n")[-1]]
        assert KEPT[name](preferred) and not KEPT[name](other)
        seen.add(name)
    assert len(seen) >= 6


def test_a_true_answer_is_the_published_one_and_the_false_one_another_option(shared):
    right = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Poland": "Warsaw"}
    found = pairs("truthful")
    assert len(found) == 4
    for question, preferred, other in found:
        assert question.startswith("What is the capital of ") and "(A)" not in question
        assert preferred == right[question.split()[-1].rstrip("?")] and other in {*right.values(), "Oslo"} - {preferred}


def test_of_harmful_answers_there_are_stubs_only(shared):
    for _, preferred, other in pairs("safe"):
        assert any(word in preferred for word in ("not", "n't", "turn down"))
        assert other.startswith(("Sure, here is", "Of course!", "Here you are")) and len(other) < 40


def test_the_revising_task_turns_the_same_pairs_round_and_names_the_norm(shared):
    old, new = (task(name, SETUP) for name in ("concise", "detailed"))
    for before, after in zip((*old.records, *old.held_out), (*new.records, *new.held_out), strict=True):
        assert before.content["prompt"] == after.content["prompt"]
        assert (before.content["chosen"], before.content["rejected"]) == (
            after.content["rejected"],
            after.content["chosen"],
        )
    assert {record.content["norm"] for record in (*old.records, *new.records)} == {"length of answers"}
    assert {record.content["change"] for record in new.records} == {"revise"} and "change" not in old.records[0].content


def test_no_held_out_pair_is_trained_on(shared):
    for name in order_names(SETUP, 1):
        found = task(name, SETUP)
        trained = {str(record.content["prompt"]) for record in found.records}
        assert found.held_out and not trained & {str(record.content["prompt"]) for record in found.held_out}


def test_the_norms_of_length_and_the_forms_are_made_of_different_requests(shared):
    formed = {request.split("\n\n")[0] for request, *_ in pairs("format")}
    assert not formed & {request for request, *_ in pairs("concise")}


@pytest.mark.parametrize("order", range(1, 21))
def test_a_revision_always_follows_what_it_revises(order):
    names = order_names(SETUP, order)
    assert names.index("concise") < names.index("detailed")
    assert sorted(names) == sorted(STREAMS["preferences"][0].split())


def test_what_is_revised_is_not_in_force(shared):
    tasks = stream_tasks(SETUP, 1)
    assert [found.name for found in tasks if found not in in_force(tasks)] == ["concise"]
    assert len(in_force(tasks[:2])) == 2  # format, concise: nothing revises it yet
