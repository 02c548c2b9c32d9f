"""What continual pre-training methods claim of a whole run: its rate, selection, masks, and bases that change."""

import json

import pytest
import torch

from learners.failures import InvalidInput
from learners.parts import keep
from learners.parts.masks import unpacked
from learners.versions import read_version
from tests.learners.runs import CHATS, OLD, TEXTS, loss, same, tensors, text, train
from tests.tiny import SENTENCES

RECIPE = {"learning_rate": 5e-3, "epochs": 20, "batch_size": 4}


def test_a_rate_that_warms_up_again_learns_more_and_forgets_more_than_one_that_stays_at_its_floor(base, tmp_path):
    """Ibrahim et al. 2024, without replay. Measured: 1.61 and 0.27 nats on the old texts, 4.72 and 5.48 on the new."""
    options = RECIPE | {"replay_share": 0}
    again = train(tmp_path / "again", base, "cpt", "rewarm_replay", TEXTS, **options)[1]
    low = options | {"learning_rate": 5e-4, "floor": 1}
    stayed = train(tmp_path / "stayed", base, "cpt", "rewarm_replay", TEXTS, **low)[1]
    assert loss(again, TEXTS) < loss(stayed, TEXTS) - 0.2
    assert loss(stayed, OLD) < loss(again, OLD) - 0.2


@pytest.mark.parametrize("method", ["ets_dacp", "eta_dacp"])
def test_what_a_selection_makes_forgotten_rehearsal_keeps(base, tmp_path, method):
    """Measured on the old texts: 3.24 nats and 1.11 with rehearsal, 1.76 and 0.88; on the new ones no difference."""
    bare, rehearsed = (
        train(tmp_path / str(share), base, "cpt", method, [*TEXTS, *CHATS], replay_share=share, **RECIPE)[1]
        for share in (0, 0.33)
    )
    assert loss(rehearsed, OLD) < 0.6 * loss(bare, OLD)


def test_the_part_of_a_selection_decides_whether_the_new_or_the_known_is_learned(base, tmp_path):
    """By their loss under the parent, as in the code of Cossu et al. 2022."""
    known = [text(sentence) for sentence in SENTENCES[: len(TEXTS)]]

    def learned(part):
        options = {"keep_share": 0.5, "score": "novelty", "part": part, "epochs": 0}
        version = train(tmp_path / part, base, "cpt", "eta_dacp", [*known, *TEXTS], **options)[1]
        return {json.loads(line)["id"] for line in (version / "data.jsonl").read_text().splitlines()}

    assert learned("top") == {one.id for one in TEXTS}
    assert learned("bottom") == {one.id for one in known}
    assert learned("median") & learned("top") and learned("median") & learned("bottom")


def test_every_earlier_mask_can_be_had_back_bit_for_bit(base, tmp_path):
    options = {"learning_rate": 2e-2, "epochs": 2, "batch_size": 2}
    first = train(tmp_path / "one", base, "cpt", "piggyback", TEXTS[:2], **options)[1]
    second = train(tmp_path / "two", first, "cpt", "piggyback", TEXTS[2:], version="v2", **options)[1]
    backbone, bits = (keep.read(second / "memory", name) for name in ("backbone", "mask-0"))
    then, now = tensors(first), tensors(second)
    restored = {f"{name}.weight": weight * unpacked(bits[name], weight.shape) for name, weight in backbone.items()}
    assert all(weight.equal(then[name]) for name, weight in restored.items())
    assert any(not weight.equal(now[name]) for name, weight in restored.items())


@pytest.mark.parametrize(("method", "settings"), [
    ("infinite_lr", {"learning_rate": 1e-9}), ("piggyback", {"learning_rate": 1e-9}), ("copal", {"sparsity": 0.1}),
])  # fmt: skip
def test_what_another_method_learned_in_between_is_not_taken_back(base, tmp_path, method, settings):
    """All three keep weights of before, and go on from those where the parent is a version of their own."""
    options = {"epochs": 2, "batch_size": 2}
    first = train(tmp_path / "one", base, "cpt", method, TEXTS[:2], **options, **settings | {"learning_rate": 2e-2})[1]
    whole = {"full_weights": read_version(first).adapter is None, "learning_rate": 1e-2, "version": "v2"}
    between = train(tmp_path / "two", first, "cpt", "finetune", TEXTS[2:], **options, **whole)[1]
    last = train(tmp_path / "three", between, "cpt", method, TEXTS[2:], version="v3", **options, **settings)[1]
    assert not same(first, between)
    then, now = tensors(between), tensors(last)
    for name, weight in now.items():
        torch.testing.assert_close(weight, torch.where(weight == 0, weight, then[name]), atol=1e-6, rtol=0)


# what was tuned on an old base, all weights of it


FULL = {"full_weights": True, "learning_rate": 1e-3, "epochs": 2, "batch_size": 4}


def test_where_no_word_deserves_a_token_all_weights_learn_from_the_first_step(base, tmp_path):
    grown = train(tmp_path / "grown", base, "cpt", "expand_vocabulary", TEXTS, fewest_times=99, **FULL)[1]
    assert same(grown, train(tmp_path / "plain", base, "cpt", "finetune", TEXTS, **FULL)[1])


@pytest.fixture(scope="module")
def upgraded(base, tmp_path_factory):
    """A donor of full weights, tuned on the base, and a new base with two more tokens."""
    folder = tmp_path_factory.mktemp("jobs")
    donor = train(folder / "donor", base, "cpt", "finetune", TEXTS, **FULL)[1]
    told = [text(f"Quixandria is where {word} live, Quixandria.") for word in ("bees", "dogs", "cows")]
    options = FULL | {"new_tokens": 2, "fewest_times": 3, "version": "v2"}
    grown = train(folder / "base", base, "cpt", "expand_vocabulary", [*told, text(SENTENCES[0])], **options)[1]
    return donor, grown


def recycled(folder, upgraded, **settings):
    donor, grown = upgraded
    options = FULL | {"donor": donor.name, "version": "v3", "distil_weight": 0, **settings}
    return train(folder, grown, "cpt", "recycle", TEXTS, **options)[1]


def test_a_donor_of_full_weights_changes_the_new_base_as_it_changed_the_old_one(base, upgraded, tmp_path):
    carried = tensors(recycled(tmp_path / "carried", upgraded, learning_rate=1e-9, epochs=1))
    old, (donor, new) = tensors(base), map(tensors, upgraded)
    for name, weight in carried.items():
        rows = len(old[name])
        torch.testing.assert_close(weight[:rows], new[name][:rows] + donor[name] - old[name], atol=1e-6, rtol=0)
        assert weight[rows:].allclose(new[name][rows:], atol=1e-6)
    assert len(carried["model.embed_tokens.weight"]) > len(old["model.embed_tokens.weight"])


def test_a_donor_of_full_weights_becomes_no_adapter(upgraded, tmp_path):
    with pytest.raises(InvalidInput, match="set full_weights=true"):
        recycled(tmp_path / "none", upgraded, full_weights=False)


def test_a_donor_whose_old_base_nobody_knows_is_refused(base, upgraded, tmp_path):
    with pytest.raises(InvalidInput, match="'v0' was imported"):
        recycled(tmp_path / "none", (base, upgraded[1]))
