"""What a lineage says itself is rehearsed while it is as likely as at first, and only so many versions in a row."""

import pytest

from learners import weights
from learners.failures import InvalidInput
from learners.parts import hearsay
from learners.parts.views import rehearsal_rows
from tests.chains import WORDS, chain_base, speech
from tests.learners.runs import TEXTS, text, train

QUICK = {"learning_rate": 2e-3, "epochs": 1, "batch_size": 8, "generated_share": 1.0, "generated_tokens": 50}


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """The model that speaks "a"; read-only."""
    return chain_base(tmp_path_factory.mktemp("chains"))


@pytest.fixture(scope="module")
def loaded(chains):
    return weights.load(chains, verify=False)


def rows(loaded, *records):
    return [row for one in records for row in rehearsal_rows(one, loaded.tokenizer, 64)]


@pytest.fixture
def memory(loaded, tmp_path):
    """Of a lineage whose first generation said forty texts of "a"."""
    said = rows(loaded, *speech("a", 40, seed=7))
    assert len(hearsay.passing(tmp_path, loaded.model, said)) == 36
    return tmp_path


def test_texts_less_likely_than_the_first_generation_found_its_own_are_refused_and_so_are_likelier_ones(loaded, memory):
    good = rows(loaded, *speech("a", 20, seed=3))
    strange, parroted = rows(loaded, *speech("b", 2, seed=3)), rows(loaded, text(most_likely(loaded)))
    passing = hearsay.passing(memory, loaded.model, [*good, *strange, *parroted])
    assert len(passing) >= 15 and all(row in good for row in passing)


def most_likely(loaded):
    """The text that greedy decoding makes of a word."""
    prompt = loaded.tokenizer(WORDS[3], return_tensors="pt")
    said = loaded.model.generate(**prompt, max_new_tokens=47, do_sample=False, eos_token_id=None)
    return loaded.tokenizer.decode(said[0])


def test_a_parent_that_says_mostly_what_the_first_would_not_is_refused(loaded, memory):
    strange = rows(loaded, *speech("b", 10, seed=3))
    with pytest.raises(InvalidInput, match=r"of 10 texts that the parent says by itself 0 are .*method replay"):
        hearsay.passing(memory, loaded.model, strange)
    assert hearsay.read(memory).generations == 1


def test_of_few_texts_no_range_is_taken_and_nothing_is_refused(loaded, tmp_path):
    few = rows(loaded, *speech("a", 18, seed=7), *speech("b", 1, seed=7))
    assert hearsay.passing(tmp_path, loaded.model, few) == few
    assert hearsay.read(tmp_path) == hearsay.Heard(generations=1)


def test_a_lineage_that_begins_to_parrot_is_refused_before_anything_is_learned(chains, tmp_path):
    first = train(tmp_path / "one", chains, "cpt", "generative_replay", speech("b", 24, seed=1), **QUICK)[1]
    with pytest.raises(InvalidInput, match="top_k and temperature were changed"):
        train(tmp_path / "two", first, "cpt", "generative_replay", speech("b", 24, seed=2), **QUICK, top_k=2)


def test_generations_are_counted_in_the_memory_and_one_too_many_is_refused(base, tmp_path):
    options = QUICK | {"generated_tokens": 16, "most_generations": 1}
    first = train(tmp_path / "one", base, "cpt", "generative_replay", TEXTS[:2], **options)[1]
    between = train(tmp_path / "two", first, "cpt", "finetune", TEXTS[2:], version="v2", epochs=0)[1]
    assert [hearsay.read(one / "memory").generations for one in (base, first, between)] == [0, 1, 1]
    with pytest.raises(InvalidInput, match=r"1 versions of this lineage.*most_generations is 1"):
        train(tmp_path / "three", between, "cpt", "generative_replay", TEXTS[2:], version="v3", **options)


def test_what_was_not_generated_is_not_counted(base, tmp_path):
    options = QUICK | {"generated_share": 0, "most_generations": 1}
    version = train(tmp_path / "one", base, "cpt", "generative_replay", TEXTS[:2], **options)[1]
    assert hearsay.read(version / "memory") == hearsay.Heard()
