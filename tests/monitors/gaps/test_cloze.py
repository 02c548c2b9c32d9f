"""Promises of probes made from documents: they ask for facts, and no training view contains a held-out sentence."""

from __future__ import annotations

import pytest

from learners.records import Record, record_id
from monitors.gaps.cloze import find_facts, held_out_facts, probe_items, sentences
from monitors.probes.suites import read_probe


def text(body):
    content = {"text": body, "title": None}
    return Record(id=record_id("text", content), source="inbox", kind="text", content=content)


TWICE = text(
    "The return window for the Halden kettle is 45 days. A customer can send a Halden kettle back within 45 days."
)
ONCE = text("The founder of Tarnbrook is Marta Lindqvist. She likes tea.")


def made(*records):
    facts = find_facts(records)
    every = [sentence for record in records for sentence in sentences(record.content["text"])]
    held = held_out_facts(facts, every)
    return facts, held, [item for _, item in probe_items(facts, held, 4, seed=0)]


@pytest.mark.parametrize(
    ("sentence", "answer", "shape"),
    [
        ("The return window for the kettle is 45 days.", "45 days", "quantity"),
        ("The yearly stock count takes place on 14 March.", "14 March", "date"),
        ("The support line opens at 6:30.", "6:30", "number"),
        ("The founder of the company is Marta Lindqvist.", "Marta Lindqvist", "name"),
    ],
)
def test_a_sentence_that_ends_in_something_unguessable_is_a_fact(sentence, answer, shape):
    (fact,) = find_facts([text(sentence)])
    assert (fact.answer, fact.shape) == (answer, shape)


@pytest.mark.parametrize("sentence", ["The kettle must be clean.", "# About Tarnbrook", "NOTES FOR NEW STARTERS"])
def test_other_sentences_are_not(sentence):
    assert find_facts([text(sentence)]) == []


def test_a_fact_stated_twice_is_held_out_once_and_stays_learnable():
    _, held, _ = made(TWICE)
    assert held == {"A customer can send a Halden kettle back within 45 days."}


def test_a_fact_stated_once_stays_in_training_and_is_asked_in_other_words():
    _, held, items = made(ONCE)
    assert held == set()
    assert [item["prompt"] for item in items] == ["Who or what is the founder of Tarnbrook?"]


def test_a_cloze_offers_the_right_answer_among_others_of_its_shape():
    _, _, items = made(TWICE, ONCE)
    cloze = next(item for item in items if item["scorer"] == "choice")
    assert cloze["choices"][cloze["answer"]] == "45 days"
    assert len(set(cloze["choices"])) == 4
    assert all(choice.endswith(" days") for choice in cloze["choices"])


def test_every_item_is_a_probe_that_a_suite_accepts():
    _, _, items = made(TWICE, ONCE)
    assert [read_probe(item).id for item in items] == [item["id"] for item in items]


@pytest.mark.parametrize("name", ["Anna Keller", "Northfield"])
def test_an_answer_that_is_one_of_the_stand_ins_is_offered_once(name):
    said = f"The warden of the museum is {name}. When it is closed one has to ask for {name}."
    items = [item for item in made(text(said))[2] if item["scorer"] == "choice"]
    assert items and all(len(set(read_probe(item).choices)) == len(item["choices"]) for item in items)


def test_what_the_batch_speaks_of_all_the_time_is_no_answer():
    batch = [text(f"Number {n} was sold by the people of Tarnbrook.") for n in range(12)]
    assert find_facts(batch) == []


def test_the_same_seed_makes_the_same_probes():
    assert made(TWICE, ONCE)[2] == made(TWICE, ONCE)[2]
