"""What was tuned on an old base helps on a new one: the orderings of Qin et al. 2023, in a made-up language."""

import random

import pytest

from learners.failures import InvalidInput
from tests.learners.runs import CHATS, TEXTS, loss, text, train
from tests.tiny import SENTENCES

WORDS = list(dict.fromkeys(word for sentence in SENTENCES for word in sentence.strip(".").split()))[:12]
_DRAW = random.Random(5)
AFTER = {word: _DRAW.sample(WORDS, 3) for word in WORDS}
"""A made-up language: three words may follow each word, with chances of 6, 3 and 1 in ten."""


def utterances(count, seed):
    draw, found = random.Random(seed), []
    for _ in range(count):
        words = [draw.choice(WORDS)]
        while len(words) < 24:
            words += draw.choices(AFTER[words[-1]], (6, 3, 1))
        found.append(text(" ".join(words)))
    return found


@pytest.fixture(scope="module")
def upgraded(base, tmp_path_factory):
    """A donor that learned the language on the base, and a new base: the old one after a stage on other texts."""
    folder, options = tmp_path_factory.mktemp("jobs"), {"epochs": 3, "batch_size": 8}
    donor = train(folder / "donor", base, "cpt", "finetune", utterances(200, 1), learning_rate=5e-3, **options)[1]
    options = {"full_weights": True, "learning_rate": 5e-4, "epochs": 4}
    new_base = train(folder / "base", base, "cpt", "replay", TEXTS, version="v2", **options)[1]
    return donor, new_base.rename(new_base.parent / "v2")


@pytest.fixture
def recycled(upgraded, tmp_path):
    """settings -> loss on unseen utterances, after few seen ones on the new base."""
    donor, new_base = upgraded

    def run(name, **settings):
        options = {"learning_rate": 2e-3, "epochs": 10, "batch_size": 4, "version": "v3", "donor": donor.name}
        version = train(tmp_path / name, new_base, "cpt", "recycle", utterances(8, 2), **{**options, **settings})[1]
        return loss(version, utterances(30, 3))

    return run


@pytest.mark.slow
def test_what_was_learned_on_the_old_base_is_carried_over_to_the_new_one(upgraded, recycled):
    """Measured: 7.96 untuned, 2.20 with the adapter as it is; trained on 2.27, distilled too 2.20; tuned anew 3.21."""
    scratch, carried = recycled("scratch", initialise=False, distil_weight=0), recycled("carried", distil_weight=0)
    assert recycled("untouched", epochs=1, learning_rate=1e-9) < 0.65 * loss(upgraded[1], utterances(30, 3))
    assert recycled("both") < carried < 0.8 * scratch


@pytest.mark.slow
def test_the_donors_answers_tell_more_than_few_texts_that_are_learned_by_heart(recycled):
    """Measured after 40 steps: 2.48 without them, 2.38 with them."""
    options = {"initialise": False, "learning_rate": 5e-3, "epochs": 20}
    scratch = recycled("scratch", distil_weight=0, **options)
    assert recycled("taught", distil_weight=0.9, temperature=1, **options) < scratch - 0.03


def test_recycling_without_a_donor_or_onto_an_adapter_is_refused(upgraded, base, tmp_path):
    donor = upgraded[0]
    with pytest.raises(InvalidInput, match="needs a donor"):
        train(tmp_path / "none", base, "cit", "recycle", CHATS, epochs=1)
    with pytest.raises(InvalidInput, match="is an adapter over 'v0'"):
        train(tmp_path / "onto", donor, "cit", "recycle", CHATS, epochs=1, donor=donor.name)
