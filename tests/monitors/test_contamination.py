"""Promises of the contamination check: what training would give away is found by words and by meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from learners.records import Kind, Record, record_id
from monitors.contamination import contaminated, units
from monitors.embedding import embed as minilm
from monitors.job import ContaminationPolicy
from monitors.probes.suites import Suite, load_suite, read_probe, shipped_suites
from tests.thumbs import thumb

QUESTION = "Which of the four seasons in the northern hemisphere begins with the spring equinox in March?"


def suite(*prompts: str, name: str = "general") -> Suite:
    """A suite of these questions, with ids p1, p2, ..."""
    items = [
        read_probe({"id": f"p{n}", "scorer": "match", "prompt": prompt, "answer": "x"})
        for n, prompt in enumerate(prompts, 1)
    ]
    return Suite(suite=name, role="general", items=tuple(items))


def record(text: str, kind: Kind = "text") -> Record:
    """A document, or an example whose question is `text`."""
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "Of course."}]
    content = {"text": text} if kind == "text" else {"messages": turns}
    return Record(id=record_id(kind, content), source="inbox", kind=kind, content=content, origin="a")


def unlike(texts: Sequence[str]) -> NDArray[np.float32]:
    """An embedding in which no two texts are alike."""
    return np.eye(len(texts), dtype=np.float32)


def found(prompts: Sequence[str], records: Sequence[Record], embed: object = unlike, **policy: float) -> dict[str, str]:
    """How each contaminated item was found."""
    asked = ContaminationPolicy.model_validate(policy)
    return {item.probe: item.by for item in contaminated([suite(*prompts)], records, asked, embed)}  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ["text", "instruction"])
def test_an_item_that_stands_in_a_record_is_named_with_the_record(kind: Kind):
    other, giver = record("Nothing of the sort.", kind), record(f"Quiz. {QUESTION.upper()} Spring!", kind)
    (item,) = contaminated([suite("Who?", QUESTION)], [other, giver], ContaminationPolicy(), unlike)
    assert (item.suite, item.probe, item.record, item.by, item.degree) == ("general", "p2", giver.id, "ngram", 1.0)


def test_case_and_punctuation_do_not_hide_it():
    assert found([QUESTION], [record(QUESTION.replace(" ", ", ").lower())]) == {"p1": "ngram"}


def test_it_is_found_in_a_rationale_and_in_an_example_of_a_task_too():
    plain = record("Nothing of the sort.", "instruction")
    for more in ({"rationale": QUESTION}, {"task": {"negative": [{"input": QUESTION, "output": "Autumn"}]}}):
        assert found([QUESTION], [plain.model_copy(update={"content": plain.content | more})]) == {"p1": "ngram"}


def test_the_share_of_ngrams_decides():
    half = record(" ".join(QUESTION.split()[:11]))
    assert found([QUESTION], [half]) == {}
    assert found([QUESTION], [half], ngram_share=0.4) == {"p1": "ngram"}


def test_ngrams_of_several_records_add_up_and_the_one_that_holds_most_is_named():
    words = QUESTION.split()
    much, little = record(" ".join(words[:13])), record(" ".join(words[5:]) + " indeed")
    (item,) = contaminated([suite(QUESTION)], [little, much], ContaminationPolicy(), unlike)
    assert item.degree == 1.0 and item.record in (much.id, little.id)


def test_a_short_item_must_stand_there_whole():
    assert found(["Name the capital of France."], [record("We had to name the capital of France, twice.")]) == {
        "p1": "ngram"
    }
    assert found(["Name the capital of France."], [record("We had to name the capital of Spain, twice.")]) == {}


def test_very_few_words_are_no_evidence():
    assert found(["Who are you?"], [record("Who are you? I am a kettle.")]) == {}


def test_without_records_or_suites_nothing_is_contaminated():
    assert found([QUESTION], []) == {}
    assert contaminated([], [record(QUESTION)], ContaminationPolicy(), unlike) == ()


def test_only_what_shares_words_and_numbers_is_embedded():
    seen: list[str] = []

    def spy(texts: Sequence[str]) -> NDArray[np.float32]:
        seen.extend(texts)
        return unlike(texts)

    records = [
        record("Kettles boil quickly in the kitchen."),
        record("How many kettles boil within 5 hours of Tuesday?"),
    ]
    found(["How many kettles boil within 7 hours of Monday?"], records, spy)
    assert seen == []


@pytest.mark.parametrize(
    "text", ["What is the capital city of France?", "Tell me: the capital city of France is what?"]
)
def test_a_rephrased_item_is_found_by_meaning(text: str):
    assert found(["What's France's capital city called?"], [record(text)], minilm, similarity=0.85) == {"p1": "meaning"}


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("What is 7 + 5?", "What is 8 + 5?"),
        ("What is the capital city of France?", "What is the capital city of Spain?"),
        ("Who wrote the play Hamlet?", "Who directed the film Hamlet on Ice?"),
    ],
)
def test_strangers_of_one_template_are_left_alone(item: str, text: str):
    assert found([item], [record(text)], minilm) == {}


def test_what_a_judged_answer_says_is_training_data_too():
    told = "The old mill by the river was turned into a library in spring."
    judged = thumb("What became of the mill?", told, True)
    assert told in set(units(judged))
    assert found([told], [judged]) == {"p1": "ngram"}


def test_the_words_of_the_system_turn_do_not_count():
    probe = read_probe(
        {"id": "p", "scorer": "match", "answer": "x",
         "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]}
    )  # fmt: skip
    assert probe.question == "Who?"


@pytest.mark.slow
def test_every_shipped_item_is_found_when_it_is_planted_and_none_in_strangers():
    """A check that cannot fail would be no check: the suite is planted once, whole."""
    suites = [load_suite(shipped_suites()["general"])]
    planted = [record(probe.text, "instruction") for one in suites for probe in one.items]
    strangers = [record("The kettle KX-7 was recalled in March because its handle came loose at 90 degrees.")]
    assert contaminated(suites, strangers, ContaminationPolicy(), minilm) == ()
    caught = contaminated(suites, planted, ContaminationPolicy(), minilm)
    assert len(caught) >= 0.95 * sum(len(one.items) for one in suites)
