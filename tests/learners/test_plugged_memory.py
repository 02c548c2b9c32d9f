"""A memory plugged into a frozen model: what is in it can be read, pulled out and put back, bit for bit.

Measured on the model that speaks one random language and learned language "b" (480 texts, 4 epochs, passages of 8
words): loss on "b" 4.65 before, 3.24 with its memory, 3.39 with one of language "c", 4.65 with an empty one; on "c"
4.25 with the memory of "b" and 4.26 with its own. On the tiny model: new texts 7.00 before, 5.64 with their passages,
6.42 with those of other texts.
"""

import pytest
import torch

from learners import weights
from learners.failures import InvalidInput
from learners.parts import extensions, select
from learners.parts.extensions.memory import Kind
from learners.parts.views import rehearsal_rows
from tests.learners.runs import OLD, TEXTS, loss, same, tensors, train
from tests.learners.test_method_matrix import logits

RECIPE = {"learning_rate": 5e-3, "epochs": 40, "batch_size": 4}


@pytest.fixture(scope="module")
def plugged(base, tmp_path_factory):
    """A version that learned the new texts."""
    return train(tmp_path_factory.mktemp("jobs") / "one", base, "cpt", "plug_lm", TEXTS, **RECIPE)[1]


def passages(version, records):
    """The records' tokens."""
    tokenizer = weights.read_tokenizer(version / "weights")
    return [row["input_ids"] for one in records for row in rehearsal_rows(one, tokenizer, 200)]


def question(loaded):
    with torch.inference_mode():
        return loaded.model(**loaded.tokenizer("What is the capital of France?", return_tensors="pt")).logits


def memory(loaded):
    found = extensions.attached(loaded.model)
    assert isinstance(found, Kind)
    return found


def test_what_was_learned_is_read_and_not_only_remembered_by_the_readers(base, plugged):
    assert loss(plugged, TEXTS) < loss(base, TEXTS) - 1
    loaded = weights.load(plugged)
    memory(loaded).plug(passages(base, OLD))
    rows = [row for one in TEXTS for row in rehearsal_rows(one, loaded.tokenizer, 200)]
    assert sum(select.novelty(loaded.model, rows)) / len(rows) > loss(plugged, TEXTS) + 0.4


def test_an_empty_memory_is_the_base_bit_for_bit(base, plugged):
    loaded = weights.load(plugged)
    assert not question(loaded).equal(logits(base))
    memory(loaded).plug([])
    assert question(loaded).equal(logits(base))


def test_a_memory_pulled_out_and_plugged_in_again_answers_as_before_bit_for_bit(base, plugged):
    loaded = weights.load(plugged)
    before, mine = question(loaded), memory(loaded).plugged()
    memory(loaded).plug(passages(base, OLD))
    assert not question(loaded).equal(before)
    memory(loaded).plug(mine)
    assert question(loaded).equal(before)


def test_a_planted_key_is_the_nearest(model):
    kind = Kind(model.config, layers=[1], neighbours=2, key_width=32, passages=[0, 0])
    (reader,) = kind.readers
    reader.key.load_state_dict(reader.query.state_dict())
    entries = torch.randn(50, 64)
    cosines, found = reader.nearest(entries[[7, 31]] * 3, entries, 2)
    assert found[:, 0].tolist() == [7, 31]
    torch.testing.assert_close(cosines[:, 0], torch.ones(2))


def test_an_entry_does_not_depend_on_how_long_other_passages_are(model):
    kind = Kind(model.config, layers=[1], neighbours=2, key_width=32, passages=[0, 0])
    kind.plug([[5, 6]])
    alone = kind.entries(model.get_input_embeddings())
    kind.plug([[5, 6], [7, 8, 9, 10]])
    assert kind.plugged() == [[5, 6], [7, 8, 9, 10]]
    torch.testing.assert_close(kind.entries(model.get_input_embeddings())[:1], alone)


def test_a_token_reads_without_knowing_what_follows_it(plugged):
    loaded = weights.load(plugged)
    ids = loaded.tokenizer("What is the capital of France?", return_tensors="pt").input_ids
    with torch.inference_mode():
        whole, half = (loaded.model(input_ids=ids[:, :count]).logits for count in (ids.shape[1], 4))
    torch.testing.assert_close(whole[:, :4], half)


def test_passages_alone_take_no_step_and_leave_the_readers_as_they_are(plugged, tmp_path):
    more = train(tmp_path / "more", plugged, "cpt", "plug_lm", OLD[-6:], version="v2", readers_learn=False, **RECIPE)
    assert more[0].steps == 0 and not same(plugged, more[1])
    ours, theirs = tensors(plugged), tensors(more[1])
    assert len(theirs.pop("passages")) > len(ours.pop("passages")) == 4
    assert all(ours[name].equal(theirs[name]) for name in ours)


def test_passages_that_are_known_are_not_stored_twice(plugged, tmp_path):
    again = train(tmp_path / "again", plugged, "cpt", "plug_lm", TEXTS, version="v2", readers_learn=False, **RECIPE)[1]
    assert len(tensors(again)["passages"]) == len(tensors(plugged)["passages"])


@pytest.mark.parametrize("method", ["npo", "grad_diff"])
def test_passages_of_what_is_forgotten_are_pulled_out_and_no_others(base, plugged, tmp_path, method):
    options = {"epochs": 1, "batch_size": 2, "version": "v2", "calibrate": False}
    without = train(tmp_path / "without", plugged, "forget", method, TEXTS[:1], **options)[1]
    then, now = (memory(weights.load(version)).plugged() for version in (plugged, without))
    (gone,) = passages(base, TEXTS[:1])
    assert now == [passage for passage in then if passage != gone]
    assert len(now) == len(then) - 1


def test_a_passage_is_pulled_out_wherever_it_was_cut_from_its_text(model):
    kind = Kind(model.config, layers=[1], neighbours=2, key_width=32, passages=[0, 0])
    kind.plug([[5, 6], [6, 7], [5, 7], [8]])
    kind.forget([[4, 5, 6, 7], [9]])
    assert kind.plugged() == [[5, 7], [8]]
    kind.forget([[5, 7, 8]])
    assert kind.plugged() == []


def test_passages_that_nobody_would_read_are_refused(base, tmp_path):
    with pytest.raises(InvalidInput, match=r"'v0' has no readers.*readers_learn = true first"):
        train(tmp_path / "job", base, "cpt", "plug_lm", TEXTS, readers_learn=False, **RECIPE)
