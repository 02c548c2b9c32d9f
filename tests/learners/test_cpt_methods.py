"""What each continual pre-training method is for, on the tiny model: mechanisms exactly, benefits as an ordering.

Measured on the tiny model, 20 steps on four sentences at 5e-3 (loss on what it knew, 0.13 before; loss on what is new,
7.00 before): finetune 3.16 / 4.59; l2 0.79 / 5.11; ewc 0.57 / 4.54; recadam 2.83 / 4.94; mix_review 1.10 / 4.42;
rewarm_replay 0.67 / 4.77; infinite_lr 2.01 / 4.64; distill 1.08 / 4.74; replay 0.44 / 4.73; generative_replay with two
texts for each new one 0.70 / 4.80; ernie_cmtl with every second step for the past 1.09 / 4.64; of full weights at 1e-3,
finetune 1.11 / 3.61 and das 0.52 / 3.71; k_adapter at 2e-3 0.68 / 5.35. Bounds below leave a third of each gap as room.
"""

import shutil

import pytest
import torch

from learners import durable, weights
from learners.failures import InvalidInput
from learners.parts import extensions, keep, select
from learners.parts.linears import linears
from learners.parts.memory import ReplayMemory
from learners.parts.views import rehearsal_rows
from learners.versions import read_version
from tests.learners.runs import CHATS, TEXTS, correct, tensors, text, train
from tests.learners.test_method_matrix import logits
from tests.tiny import KNOWN, SENTENCES, UNKNOWN, chat

OLD = [*(chat(question, answer) for question, answer in KNOWN.items()), *(text(sentence) for sentence in SENTENCES)]
RECIPE = {"learning_rate": 5e-3, "epochs": 20, "batch_size": 4}


def loss(version, records):
    """Mean loss over the records' rows, in nats."""
    loaded = weights.load(version, verify=False)
    rows = [row for one in records for row in rehearsal_rows(one, loaded.tokenizer, 200)]
    values = select.novelty(loaded.model, rows)
    return sum(values) / len(values)


@pytest.fixture(scope="module")
def plain(base, tmp_path_factory):
    """Loss on old and new after plain fine-tuning; it forgets most of what the tiny model knew."""
    version = train(tmp_path_factory.mktemp("jobs") / "plain", base, "cpt", "finetune", TEXTS, **RECIPE)[1]
    return loss(version, OLD), loss(version, TEXTS)


@pytest.mark.parametrize(("method", "settings", "kept", "given_up"), [
    ("replay", {"placement": "within"}, 0.5, 0.6),
    ("l2", {}, 0.5, 0.8), ("recadam", {}, 0.97, 0.6), ("mix_review", {}, 0.6, 0.2), ("rewarm_replay", {}, 0.4, 0.4),
    ("distill", {}, 0.55, 0.4), ("distill", {"source": "rehearsal"}, 0.35, 0.5),
    ("generative_replay", {"generated_share": 2.0, "generated_tokens": 32}, 0.45, 0.5),
    ("ernie_cmtl", {"earlier_share": 0.5}, 0.6, 0.3),
])  # fmt: skip
def test_a_method_forgets_less_than_fine_tuning_and_learns(base, plain, tmp_path, method, settings, kept, given_up):
    version = train(tmp_path / method, base, "cpt", method, TEXTS, **RECIPE, **settings)[1]
    assert loss(version, OLD) < kept * plain[0]
    assert loss(version, TEXTS) < plain[1] + given_up


def test_das_forgets_less_and_the_gradient_switch_changes_almost_nothing(base, tmp_path):
    recipe = RECIPE | {"learning_rate": 1e-3, "full_weights": True}
    plain, das, faithful = (
        train(tmp_path / name, base, "cpt", method, TEXTS, **recipe, **settings)[1]
        for name, method, settings in (
            ("plain", "finetune", {}), ("das", "das", {}), ("faithful", "das", {"apply_to": "gradient"}),
        )
    )  # fmt: skip
    assert loss(das, OLD) < 0.7 * loss(plain, OLD)
    assert loss(das, TEXTS) < loss(plain, TEXTS) + 0.3
    assert loss(faithful, OLD) > 0.85 * loss(plain, OLD)
    assert all(value.max() < 1 for value in keep.read(das / "memory", "units").values())


def test_das_scales_the_factors_of_an_adapter_too(base, tmp_path):
    version = train(tmp_path / "das", base, "cpt", "das", TEXTS, full_weights=False, **RECIPE)[1]
    plain = train(tmp_path / "plain", base, "cpt", "finetune", TEXTS, **RECIPE)[1]
    assert read_version(version).adapter is not None
    assert loss(version, OLD) < loss(plain, OLD)


def test_a_lineage_at_the_infinite_rate_goes_on_from_before_the_anneal(base, tmp_path):
    options = {"epochs": 10, "batch_size": 2, "learning_rate": 5e-3}
    first = train(tmp_path / "first", base, "cpt", "infinite_lr", TEXTS[:2], **options)[1]
    before = keep.read(first / "memory", "before_anneal")
    saved = {name.replace(".weight", ".default.weight"): value for name, value in tensors(first).items()}
    assert before.keys() == saved.keys()
    assert not all(before[name].equal(saved[name]) for name in before)
    tiny = options | {"learning_rate": 1e-9}
    second = train(tmp_path / "second", first, "cpt", "infinite_lr", TEXTS[2:], version="v2", **tiny)[1]
    for name, value in tensors(second).items():
        torch.testing.assert_close(value, before[name.replace(".weight", ".default.weight")], atol=1e-6, rtol=0)


# selection and transforms


def test_only_what_is_like_the_task_is_learned_and_the_rest_stays_unread(base, tmp_path):
    alike = [text(f"The capital of {place} is what people ask for.") for place in ("France", "Italy", "Peru")]
    other = [text(f"{word} {word} {word} dog bee") for word in ("snow", "week", "four")]
    task = [chat(f"The capital of {place} is what people ask for.", "Oslo") for place in ("Norway", "Greece")]
    result, version = train(tmp_path / "ets", base, "cpt", "ets_dacp", [*other, *alike, *task], epochs=1)
    learned = {item.record.id for item in ReplayMemory.read(version / "memory").items if item.stage == "cpt"}
    assert learned == {one.id for one in alike}
    assert result.records == 3


def test_without_a_task_a_selection_by_task_is_refused_and_says_what_does_without(base, tmp_path):
    with pytest.raises(InvalidInput, match="use eta_dacp"):
        train(tmp_path / "ets", base, "cpt", "ets_dacp", TEXTS, epochs=1)


def test_what_is_known_already_is_not_selected(base, tmp_path):
    known = [text(sentence) for sentence in SENTENCES[:4]]
    version = train(tmp_path / "eta", base, "cpt", "eta_dacp", [*known, *TEXTS], epochs=1, score="novelty")[1]
    learned = {item.record.id for item in ReplayMemory.read(version / "memory").items if item.stage == "cpt"}
    assert learned == {one.id for one in TEXTS}


def handbook(fee):
    return text(f"Anna Lopez leads the office.\nThe fee is {fee} days.\nA week has seven days.", title="Handbook")


def test_of_a_document_that_was_learned_before_only_the_news_is_learned(base, tmp_path):
    whole, first = train(tmp_path / "first", base, "cpt", "diff", [handbook("two")], epochs=1)
    part, second = train(tmp_path / "second", first, "cpt", "diff", [handbook("eight")], epochs=1, version="v2")
    assert part.tokens < 0.7 * whole.tokens
    (item,) = [item for item in ReplayMemory.read(second / "memory").items if "eight" in str(item.record.content)]
    assert item.record.content["text"] == "The fee is eight days."
    with pytest.raises(InvalidInput, match="nothing in"):
        train(tmp_path / "third", second, "cpt", "diff", [handbook("eight")], epochs=1, version="v3")


def test_linked_records_teach_what_one_says_of_the_other(base, tmp_path):
    colors = list(enumerate(("red", "white", "green", "black")))
    records = [text(f"AB-{number}00 is {color}.") for number, color in colors]
    records += [text(f"AB-{number}00 {color} {color}") for number, color in colors]
    recipe = RECIPE | {"epochs": 12}
    linked = train(tmp_path / "linked", base, "cpt", "ecom_pack", records, **recipe)[1]
    alone = train(tmp_path / "alone", base, "cpt", "ecom_pack", records, identifier="", link_fields=(), **recipe)[1]
    questions = [text(f"AB-{number}00 is {color}.\nAB-{number}00 {color} {color}") for number, color in colors]
    assert loss(linked, questions) < loss(alone, questions)


def test_earlier_tasks_are_written_down_and_told_apart(base, tmp_path):
    import json

    first = train(tmp_path / "first", base, "cpt", "ernie_cmtl", TEXTS[:2], epochs=1)[1]
    second = train(tmp_path / "second", first, "cpt", "ernie_cmtl", TEXTS[2:], epochs=1, version="v2")[1]
    tasks = json.loads((second / "memory" / "tasks.json").read_text())
    assert [tasks[one.id] for one in TEXTS] == [1, 1, 2, 2]


# pruning and masks


def zeros(version):
    layers = linears(weights.load(version, verify=False).model)
    return {name: layer.weight.detach() == 0 for name, layer in layers.items()}


def pruned(folder, parent, records, version="v1", **settings):
    return train(folder, parent, "cpt", "copal", records, version=version, **settings)[1]


def test_pruning_zeroes_exactly_the_share_that_was_asked_for(base, tmp_path):
    half = zeros(pruned(tmp_path / "half", base, TEXTS))
    assert all((mask.sum(dim=1) == mask.shape[1] // 2).all() for mask in half.values())
    structured = zeros(pruned(tmp_path / "structured", base, TEXTS, pattern="2:4"))
    assert all((mask.unflatten(-1, (-1, 4)).sum(dim=-1) == 2).all() for mask in structured.values())
    assert not any(mask.any() for mask in zeros(pruned(tmp_path / "none", base, TEXTS, sparsity=0)).values())


def test_a_second_pruning_is_cut_from_dense_weights_and_the_order_of_data_does_not_matter(base, tmp_path):
    known = [text(sentence) for sentence in SENTENCES]
    first = pruned(tmp_path / "a", base, TEXTS)
    both = pruned(tmp_path / "ab", first, known, "v2")
    other = pruned(tmp_path / "ba", pruned(tmp_path / "b", base, known), TEXTS, "v2")
    alone, after, swapped = zeros(first), zeros(both), zeros(other)
    assert any(not after[name].equal(alone[name]) for name in alone)
    assert all(after[name].equal(swapped[name]) for name in after)


def test_without_its_memory_a_second_pruning_keeps_the_first_mask_for_ever(base, tmp_path):
    """Weight stasis, the fault that the dense copy is kept against."""
    first = pruned(tmp_path / "a", base, TEXTS)
    bare = first.parent / "bare"
    shutil.copytree(first, bare)
    for file in ("dense", "importance"):
        (bare / "memory" / f"{file}.safetensors").unlink()
    (bare / "manifest.json").unlink()
    durable.write_manifest(bare)
    again = pruned(tmp_path / "b", bare, [text(sentence) for sentence in SENTENCES], "v2")
    assert all(mask.equal(zeros(first)[name]) for name, mask in zeros(again).items())


def test_a_mask_learns_and_the_backbone_can_be_had_back(base, tmp_path):
    version = train(tmp_path / "mask", base, "cpt", "piggyback", TEXTS, **RECIPE)[1]
    assert loss(version, TEXTS) < loss(base, TEXTS) - 0.7
    backbone, original = keep.read(version / "memory", "backbone"), tensors(base)
    assert all(value.equal(original[f"{name}.weight"]) for name, value in backbone.items())
    dropped = {name: (value == 0).float().mean() for name, value in tensors(version).items() if "proj" in name}
    assert 0.01 < sum(dropped.values()) / len(dropped) < 0.9


# extensions


@pytest.fixture(scope="module")
def adapted(base, tmp_path_factory):
    """A K-Adapter that learned the new texts."""
    options = RECIPE | {"learning_rate": 2e-3}
    return train(tmp_path_factory.mktemp("jobs") / "beside", base, "cpt", "k_adapter", TEXTS, **options)[1]


@pytest.fixture(scope="module")
def pool(base, tmp_path_factory):
    """A prompt pool of two tasks: parent and child."""
    folder, options = tmp_path_factory.mktemp("jobs"), RECIPE | {"learning_rate": 2e-2, "pairs": 6, "chosen": 2}
    first = train(folder / "one", base, "cpt", "prompt_pool", TEXTS[:2], **options)[1]
    return first, train(folder / "two", first, "cpt", "prompt_pool", CAPITALS, version="v2", **options)[1]


CAPITALS = [text(f"Paris and Rome and {place} are cities with bees and dogs.") for place in ("Lima", "Oslo")]


def test_a_k_adapter_learns_and_forgets_less(base, adapted, plain):
    assert loss(adapted, TEXTS) < loss(base, TEXTS) - 0.5
    assert loss(adapted, OLD) < 0.6 * plain[0]


@pytest.mark.parametrize("kind", ["adapted", "pool"])
def test_an_extension_taken_off_leaves_its_base_bit_for_bit(base, request, kind):
    found = request.getfixturevalue(kind)
    version = found if kind == "adapted" else found[1]
    loaded = weights.load(version)
    inputs = loaded.tokenizer("What is the capital of France?", return_tensors="pt")
    assert not logits(version).equal(logits(base))
    extensions.attached(loaded.model).detach(loaded.model)
    with torch.inference_mode():
        assert loaded.model(**inputs).logits.equal(logits(base))


@pytest.mark.parametrize("kind", ["adapted", "pool"])
def test_an_extension_answers_alike_with_and_without_a_cache_and_in_a_padded_batch(request, kind):
    found = request.getfixturevalue(kind)
    loaded = weights.load(found if kind == "adapted" else found[1])
    loaded.tokenizer.padding_side = "left"
    asked = ["What color is snow?", "What is the capital of France and of Italy?"]
    one = [answers(loaded, [question], use_cache=False)[0] for question in asked]
    assert answers(loaded, asked, use_cache=True) == one


def answers(loaded, asked, *, use_cache):
    inputs = loaded.tokenizer(asked, return_tensors="pt", padding=True)
    with torch.inference_mode():
        out = loaded.model.generate(**inputs, max_new_tokens=8, do_sample=False, use_cache=use_cache, eos_token_id=None)
    return out[:, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("kind", ["adapted", "pool"])
def test_an_extension_follows_its_model_into_half_precision(request, kind):
    found = request.getfixturevalue(kind)
    version = found if kind == "adapted" else found[1]
    half, whole = (answer_logits(weights.load(version, dtype=dtype)) for dtype in ("bfloat16", "float32"))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), whole, atol=0.5, rtol=0.1)


def answer_logits(loaded):
    with torch.inference_mode():
        return loaded.model(**loaded.tokenizer("What color is snow?", return_tensors="pt")).logits[:, -1]


def test_an_extension_cannot_be_exported_as_a_plain_model(adapted, tmp_path):
    with pytest.raises(InvalidInput, match="'k_adapter'"):
        weights.export_merged(adapted, tmp_path / "merged")


def test_a_method_cannot_continue_the_extension_of_another(adapted, tmp_path):
    with pytest.raises(InvalidInput, match="'k_adapter', which a method of kind 'prompt_pool'"):
        train(tmp_path / "job", adapted, "cpt", "prompt_pool", TEXTS, epochs=1)


def test_an_adapter_trained_over_an_extension_keeps_it(adapted, tmp_path):
    version = train(tmp_path / "over", adapted, "cit", "finetune", CHATS, epochs=1, version="v2")[1]
    found = read_version(version)
    assert (found.spec.extension, found.adapter is not None) == ("k_adapter", True)
    kept = [(one / "extension" / "extension.safetensors").read_bytes() for one in (adapted, version)]
    assert kept[0] == kept[1]


def test_a_later_task_leaves_earlier_prompts_and_keys_bit_identical(pool):
    first, second = (tensors(version) for version in pool)
    assert len(second) == 2 * len(first)
    assert all(second[name].equal(value) for name, value in first.items())


def test_without_teacher_forcing_earlier_prompts_drift(pool, tmp_path):
    options = RECIPE | {"learning_rate": 2e-2, "pairs": 6, "chosen": 2, "teacher_forcing": False}
    loose = train(tmp_path / "loose", pool[0], "cpt", "prompt_pool", TEXTS[:2], version="v2", **options)[1]
    assert any(not tensors(loose)[name].equal(value) for name, value in tensors(pool[0]).items())


def test_the_keys_find_the_task_of_a_request(pool):
    loaded = weights.load(pool[1])
    extension = extensions.attached(loaded.model)
    right = 0
    for task, records in enumerate((TEXTS[:2], CAPITALS)):
        for one in records:
            ids = torch.tensor([rehearsal_rows(one, loaded.tokenizer, 200)[0]["input_ids"]])
            chosen = extension.choose(extension.query(loaded.model, ids, torch.ones_like(ids)))[1]
            right += int((chosen // 6 == task).all())
    assert right == 4


# vocabulary, recycling


def test_new_tokens_learn_alone_first_and_make_the_text_shorter(base, tmp_path):
    told = [text(f"Quixandria is where {word} live. Quixandria is Quixandria.") for word in ("bees", "dogs", "cows")]
    options = {"epochs": 2, "batch_size": 3, "rows_first_share": 1.0, "fewest_times": 5}
    result, version = train(tmp_path / "grown", base, "cpt", "expand_vocabulary", told, **options)
    plain = train(tmp_path / "plain", base, "cpt", "expand_vocabulary", told, **(options | {"new_tokens": 0}))[0]
    before, after = tensors(base), tensors(version)
    assert [name for name in before if not after[name][: len(before[name])].equal(before[name])] == [EMBEDDINGS]
    assert len(after[EMBEDDINGS]) == len(before[EMBEDDINGS]) + 1
    assert result.tokens < 0.8 * plain.tokens


EMBEDDINGS = "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def upgraded(base, tmp_path_factory):
    """A donor tuned on the base, and a new base: the old one after a stage on other texts."""
    folder = tmp_path_factory.mktemp("jobs")
    donor = train(folder / "donor", base, "cit", "finetune", CHATS, learning_rate=5e-3, epochs=30)[1]
    options = {"full_weights": True, "learning_rate": 5e-4, "epochs": 4}
    new_base = train(folder / "base", base, "cpt", "replay", TEXTS, version="v2", **options)[1]
    return donor, new_base.rename(new_base.parent / "v2")


def test_what_was_learned_on_the_old_base_is_carried_over_to_the_new_one(upgraded, tmp_path):
    donor, new_base = upgraded
    options = {"learning_rate": 1e-3, "epochs": 3, "version": "v3", "donor": donor.name}
    carried, both, scratch = (
        loss(train(tmp_path / name, new_base, "cit", "recycle", CHATS, **options, **settings)[1], CHATS)
        for name, settings in (
            ("carried", {"distil_weight": 0}), ("both", {}), ("scratch", {"initialise": False, "distil_weight": 0}),
        )
    )  # fmt: skip
    assert max(carried, both) < 0.65 * scratch


def test_recycling_without_a_donor_or_onto_an_adapter_is_refused(upgraded, base, tmp_path):
    donor = upgraded[0]
    with pytest.raises(InvalidInput, match="needs a donor"):
        train(tmp_path / "none", base, "cit", "recycle", CHATS, epochs=1)
    with pytest.raises(InvalidInput, match="is an adapter over 'v0'"):
        train(tmp_path / "onto", donor, "cit", "recycle", CHATS, epochs=1, donor=donor.name)


# mistakes and pilots


def test_what_is_answered_wrongly_is_learned_with_its_texts_and_nothing_else(base, tmp_path):
    right = [chat(question, answer) for question, answer in list(KNOWN.items())[:4]]
    facts = [text(f"They say that {answer} is the answer: {question}") for question, answer in UNKNOWN.items()]
    noise = [text("Grass and snow."), text("Cows and bees.")]
    options = {"learning_rate": 5e-3, "epochs": 60, "batch_size": 4, "texts_for_each": 1}
    version = train(tmp_path / "cem", base, "cpt", "cem", [*facts, *noise, *right, *CHATS], **options)[1]
    learned = {item.record.id for item in ReplayMemory.read(version / "memory").items if item.stage == "cpt"}
    assert learned == {one.id for one in (*facts, *CHATS)}
    assert correct(version, UNKNOWN) >= 0.5
    forgetful = train(tmp_path / "bare", base, "cpt", "cem", [*facts, *CHATS], review_share=0, **options)[1]
    assert 1 - correct(version, KNOWN) <= 0.5 * (1 - correct(forgetful, KNOWN))


def test_pilots_ask_for_more_rehearsal_where_less_loss_is_tolerated(base, tmp_path):
    options = {"pilot_shares": (0.5, 1.0), "pilot_steps": 8, "restarts": 4, "learning_rate": 5e-3, "epochs": 4}
    strict, lax = (
        train(tmp_path / name, base, "cpt", "d_cpt_law", TEXTS, tolerated=tolerated, **options)[0]
        for name, tolerated in (("strict", 0.0), ("lax", 100.0))
    )
    assert strict.replayed_records > lax.replayed_records
