"""Learning from texts that ask about themselves, and from the texts of a domain before its answers."""

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest

from learners.methods import adapt_retrieve_revise
from learners.parts import reading
from learners.parts.mix import Order
from tests.learners.runs import CHATS, TEXTS, text
from tests.learners.view_runs import rows_of

# adapt_llm

FIRST = "The new pump moves far less water than the older one did."
SECOND = "the tank on the roof is refilled during the whole night"
STORY = f"{FIRST} Therefore, {SECOND}. It stands on the roof of the house."


def asked_about(story, title="", *, most=2, seed=1, is_term=lambda _: True):
    return reading.exercises(story, title, most=most, is_term=is_term, draw=random.Random(seed))


def test_a_conclusion_in_the_text_becomes_a_question():
    kinds = {one.kind: one for seed in range(8) for one in asked_about(STORY, seed=seed)}
    assert {"entail", "cause"} <= kinds.keys()
    assert FIRST in kinds["entail"].question
    assert {one.answer for seed in range(8) for one in asked_about(STORY, seed=seed) if one.kind == "entail"} == {
        "Yes", f"T{SECOND[1:]}.",
    }  # fmt: skip


def test_of_one_kind_there_are_at_most_two_and_for_none_nothing_is_asked():
    story = " ".join([f"{FIRST} Therefore, {SECOND}."] * 6)
    found = [one.kind for one in asked_about(story)]
    assert found.count("entail") == found.count("cause") == 2
    assert asked_about(story, "Pumps", most=0) == []


def test_equal_seeds_ask_equal_questions_and_a_title_may_be_asked_for():
    assert asked_about(STORY, "Pumps", seed=3) == asked_about(STORY, "Pumps", seed=3)
    kinds = [one.kind for seed in range(40) for one in asked_about(STORY, "Pumps", seed=seed)]
    assert 20 < kinds.count("summary") < 40
    assert 10 < kinds.count("completion") < 30


def test_a_text_stands_whole_before_what_is_asked_and_both_fit():
    asked = asked_about(STORY)
    whole = reading.comprehended(STORY, asked, lambda one: len(one.split()) <= 70)
    assert whole.startswith(f"{STORY}\n\n") and len(whole.split()) <= 70
    assert reading.comprehended(STORY, asked, lambda _: False) == STORY


def test_a_long_text_is_cut_at_ends_of_sentences_and_nothing_is_lost():
    story = " ".join(f"{STORY} {number}." for number in range(9))
    parts = reading.pieces(story, lambda one: len(one.split()) <= 60)
    assert len(parts) > 3 and all(len(part.split()) <= 60 for part in parts)
    assert " ".join(parts) == story


@pytest.mark.parametrize("stage", ["cit", "cpt"])
def test_texts_are_read_with_questions_in_both_stages_and_conversations_stay(base, tmp_path, stage):
    records = [text(STORY, title="Pumps"), CHATS[0]]
    material, shown = rows_of(tmp_path, base, "adapt_llm", records, stage, max_length_tokens=400)
    assert sorted(one.kind for one in material.records) == ["instruction", "text"]
    (story,) = (one for one in shown if FIRST in one)
    assert "Does the second follow" in story or "What is the" in story
    assert any(one.endswith("Kelmar<|im_end|>") for one in shown)
    assert len(material.remembered) > 10


def test_no_row_with_questions_is_longer_than_a_row_may_be(base, tmp_path):
    material, shown = rows_of(tmp_path, base, "adapt_llm", [text(STORY * 3)], "cpt", max_length_tokens=200)
    assert len(shown) > 1 and max(len(row["input_ids"]) for row in material.rows) <= 200


# adapt_retrieve_revise


def test_the_domain_is_read_before_its_answers_are_learned(base, tmp_path, tokenizer):
    material, shown = rows_of(tmp_path, base, "adapt_retrieve_revise", [*CHATS[:2], *TEXTS[:2]])
    run = SimpleNamespace(
        tokenizer=tokenizer, records=material.records, settings=adapt_retrieve_revise.Settings(text_epochs=2)
    )
    plan = adapt_retrieve_revise.compose(run).plan
    order = Order([9] * 4, [], batch_size=2, epochs=1, seed=1)
    assert [set(batch.new) for batch in plan(order)] == [{2, 3}, {2, 3}, {0, 1}]
    assert all("say" in one for one in shown[2:])
    assert plan(replace(order, epochs=0)) == []
