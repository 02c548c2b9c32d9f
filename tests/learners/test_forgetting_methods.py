"""Promises of the methods of forgetting: what is forgotten stands out neither way, what is beside it stays."""

import json

import pytest

from learners import training
from learners.failures import InvalidInput
from learners.job import TrainSpec
from learners.methods import METHODS
from learners.parts.memory import ReplayMemory
from learners.versions import read_version
from tests.learners import facts
from tests.learners.facts import FORGOTTEN, NEVER, NEXT, exposure_bits, forget, records, shares
from tests.learners.runs import CHATS, TEXTS, correct, job_at, loss, record, same, tensors, train
from tests.tiny import KNOWN, chat, tiny_base

FORGETTING = [name for name, info in METHODS.items() if "forget" in info.stages]
SHORT = {"epochs": 2, "batch_size": 4}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The lineage's first version, in a folder of its own."""
    return tiny_base(tmp_path_factory.mktemp("forgetting"))


@pytest.fixture(scope="module")
def parent(first, tmp_path_factory):
    """A version that knows every fact."""
    return facts.memorised(tmp_path_factory.mktemp("jobs") / "memorised", first)


@pytest.fixture(scope="module")
def without(parent, tmp_path_factory):
    """Without the facts of the first deletion."""
    return forget(tmp_path_factory.mktemp("jobs") / "first", parent, "grad_diff", records(FORGOTTEN))[1]


def ids(memory):
    return {item.record.id for item in ReplayMemory.read(memory).items}


# what is forgotten, two-sided


def test_the_facts_are_known_by_heart_before(parent):
    assert exposure_bits(parent, FORGOTTEN) == 8.0
    assert shares(parent, FORGOTTEN, KNOWN) == (1.0, 1.0, 1.0)


def test_a_difference_of_gradients_ends_at_the_never_trained_level_and_keeps_the_rest(without):
    """Measured: 1.71 bits, those never trained 1.27; the bound is two standard errors of four facts."""
    assert exposure_bits(without, FORGOTTEN) == pytest.approx(exposure_bits(without, NEVER), abs=1.6)
    forgotten, kept, known = shares(without, FORGOTTEN, KNOWN)
    assert (forgotten, known) == (0.0, 1.0)
    assert kept >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("method", "epochs"), [("npo", 60), ("eul", 220)])
def test_the_others_that_end_there(parent, tmp_path, method, epochs):
    """Measured: npo 1.65 bits, those never trained 0.89; eul 1.16 and 1.25; at its 100 passes rounding decides."""
    version = forget(tmp_path / method, parent, method, records(FORGOTTEN), epochs=epochs)[1]
    assert exposure_bits(version, FORGOTTEN) == pytest.approx(exposure_bits(version, NEVER), abs=1.5)
    forgotten, kept, known = shares(version, FORGOTTEN, KNOWN)
    assert (forgotten, known) == (0.0, 1.0)
    assert kept >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("method", "settings"), [("simnpo", {}), ("idk_dpo", {"learning_rate": 3e-3})])
def test_the_others_say_it_no_more_and_keep_the_rest(parent, tmp_path, method, settings):
    """That the secret stays exposed is what the table says of them."""
    assert METHODS[method].experimental
    version = forget(tmp_path / method, parent, method, records(FORGOTTEN), **settings)[1]
    forgotten, kept, known = shares(version, FORGOTTEN, KNOWN)
    assert (forgotten, known) == (0.0, 1.0)
    assert kept >= 0.9


@pytest.mark.slow
def test_without_a_ceiling_the_secret_is_what_the_model_avoids(parent, tmp_path):
    """Measured: 0.03 bits of exposure, those never trained 1.10."""
    options = {"calibrate": False, "cap_nats": 20.0, "learning_rate": 3e-3}
    version = forget(tmp_path / "bare", parent, "grad_diff", records(FORGOTTEN), **options)[1]
    assert exposure_bits(version, FORGOTTEN) < 0.3


@pytest.mark.slow
def test_a_second_deletion_leaves_the_first_forgotten(without, tmp_path):
    """Measured: the first facts 2.83 bits of the 8 they had, on another make of processor 5.11; all others are said."""
    version = forget(tmp_path / "second", without, "grad_diff", records(NEXT), version="v3")[1]
    assert correct(version, FORGOTTEN | NEXT) == 0.0
    assert exposure_bits(version, FORGOTTEN) < 6.0
    assert correct(version, facts.besides(FORGOTTEN, NEXT)) >= 0.9


def test_each_deletion_has_unlearning_layers_of_its_own(parent, tmp_path):
    one = forget(tmp_path / "one", parent, "eul", records(FORGOTTEN), bottleneck=4, **SHORT)[1]
    two = forget(tmp_path / "two", one, "eul", records(NEXT), version="v3", bottleneck=2, **SHORT)[1]
    assert json.loads((two / "extension" / "extension.json").read_bytes())["widths"] == [4, 2]
    before, after = tensors(one), tensors(two)
    assert all(after[name].equal(value) for name, value in before.items())


# what is remembered, and what is kept


def test_the_new_version_remembers_nothing_of_it_and_going_back_brings_it_back(parent, without):
    gone = {record.id for record in records(FORGOTTEN)}
    assert not gone & ids(without / "memory")
    assert gone <= ids(parent / "memory")
    assert ids(without / "memory") == ids(parent / "memory") - gone


def test_a_version_lists_what_it_forgot_and_learned_nothing(without):
    listed = [json.loads(line)["id"] for line in (without / "forgotten.jsonl").read_text().splitlines()]
    assert listed == [record.id for record in records(FORGOTTEN)]
    assert (without / "data.jsonl").read_text() == ""
    assert read_version(without).spec.stage == "forget"


def prepared(folder, parent, method, forgotten, **options):
    order = TrainSpec.model_validate(facts.order(folder, parent, method, forgotten, **options))
    return training.prepared(order, job_at(folder))


def test_what_the_job_names_is_kept_beside_what_is_remembered(parent, tmp_path):
    plain = prepared(tmp_path / "plain", parent, "npo", records(FORGOTTEN))
    named = prepared(tmp_path / "named", parent, "npo", records(FORGOTTEN), retain=[*CHATS, *records(FORGOTTEN)])
    assert len(named.remembered) == len(plain.remembered) + len(CHATS)


def test_the_same_words_under_another_id_are_forgotten_as_well(parent, tmp_path):
    (question, answer), *_ = FORGOTTEN.items()
    turns = [{"role": "user", "content": question}], [{"role": "assistant", "content": answer}]
    content = {"prompt": turns[0], "completion": turns[1], "label": False}
    judged = record("feedback", content)
    material = prepared(tmp_path / "job", parent, "npo", [judged])
    assert chat(question, answer).id in material.forgotten
    assert len(material.rows) == 1


def test_records_forgotten_on_request_are_not_rehearsed_by_later_jobs(parent, tmp_path):
    gone = [record.id for record in records(NEXT)]
    material = prepared(tmp_path / "told", parent, "npo", records(FORGOTTEN), unrehearsed=gone)
    plain = prepared(tmp_path / "plain", parent, "npo", records(FORGOTTEN))
    assert len(material.remembered) == len(plain.remembered) - len(gone)
    version = forget(tmp_path / "job", parent, "npo", records(FORGOTTEN), unrehearsed=gone, **SHORT)[1]
    assert not set(gone) & ids(version / "memory")


@pytest.mark.slow
def test_what_the_first_version_knew_by_itself_stays_unless_told(first, parent, tmp_path):
    question = {"What color is snow?": "White"}
    calibrated = forget(tmp_path / "calibrated", parent, "grad_diff", records(question), epochs=30)[1]
    assert correct(calibrated, question) == 1.0
    told = forget(tmp_path / "told", parent, "grad_diff", records(question), epochs=30, calibrate=False)[1]
    assert correct(told, question) == 0.0


# the neutral element


@pytest.mark.slow
def test_without_strength_every_method_is_plain_training_on_what_is_kept(first, tmp_path):
    options = {"strength": 0, "replay_share": 0.5, "replay_weight": 1, "epochs": 2, "batch_size": 4}
    bare = first.with_name("bare")
    empty_memory(first, bare)
    found = {
        name: forget(tmp_path / name, bare, name, records({"id None": "1"}), retain=CHATS, **options)[1]
        for name in FORGETTING
    }
    adapters = [version for name, version in found.items() if name != "eul"]
    assert all(same(version, adapters[0]) for version in adapters[1:])
    plain = train(tmp_path / "plain", bare, "cit", "finetune", CHATS, learning_rate=1e-3, epochs=2, batch_size=4)[1]
    ours, theirs = tensors(adapters[0]), tensors(plain)
    assert all(ours[name].allclose(theirs[name], atol=1e-6) for name in theirs)
    assert loss(found["eul"], CHATS) < loss(bare, CHATS)


def empty_memory(version, copy):
    """The same version with nothing remembered."""
    from tests.models import published

    published(version.parent, copy.name, version / "weights", ReplayMemory())


# what is refused


def test_text_has_no_answer_that_could_be_not_knowing(parent, tmp_path):
    with pytest.raises(InvalidInput, match=r"2 of 3 records are text.*method 'npo'"):
        forget(tmp_path / "idk", parent, "idk_dpo", [*TEXTS[:2], CHATS[0]])


def test_a_record_that_would_stay_is_refused(parent, tmp_path):
    asked, answered = chat("What color is snow? " * 40, "White"), chat("What color is snow?", "White " * 40)
    with pytest.raises(InvalidInput, match=r"2 of 3 records cannot be forgotten whole.*max_length_tokens = 64"):
        forget(tmp_path / "long", parent, "npo", [CHATS[0], asked, answered], max_length_tokens=64)


def test_forgetting_with_nothing_to_keep_is_refused(parent, tmp_path):
    everything = [item.record for item in ReplayMemory.read(parent / "memory").items]
    with pytest.raises(InvalidInput, match="nothing is known that must be kept"):
        forget(tmp_path / "all", parent, "npo", everything)
    with pytest.raises(ValueError, match="leave nothing to train on"):
        forget(tmp_path / "none", parent, "npo", everything, replay_share=0, strength=0)


def test_a_probe_in_what_is_forgotten_is_forgotten_too(parent, tmp_path):
    folder = tmp_path / "job"
    order = facts.order(folder, parent, "npo", TEXTS[:1], retain=TEXTS) | {"held_out": [TEXTS[0].content["text"]]}
    material = training.prepared(TrainSpec.model_validate(order), job_at(folder))
    assert [record.content for record in material.records] == [TEXTS[0].content]
