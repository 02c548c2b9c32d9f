"""What each continual pre-training method is for, on the tiny model: mechanisms exactly, benefits as an ordering.

Measured on the tiny model, 20 steps on four sentences at 5e-3 (loss on what it knew, 0.13 before; loss on what is new,
7.00 before): finetune 3.16 / 4.59; l2 0.79 / 5.11; ewc 0.57 / 4.54; recadam 2.83 / 4.94; mix_review 1.10 / 4.42;
rewarm_replay 0.67 / 4.77; infinite_lr 2.01 / 4.64; distill 1.08 / 4.74; replay 0.44 / 4.73; generative_replay with two
texts for each new one 0.70 / 4.80; ernie_cmtl with every second step for the past 1.09 / 4.64; of full weights at 1e-3,
finetune 1.11 / 3.61, das 0.52 / 3.71, with its contrast 0.55 / 3.96, its contrast alone 0.95 / 3.87; k_adapter at 2e-3
0.68 / 5.35. Bounds below leave a third of each gap as room.
"""

import json
import shutil

import pytest
import torch

from learners import durable, weights
from learners.failures import InvalidInput
from learners.methods import d_cpt_law
from learners.parts import keep, select
from learners.parts.law import Point, fit
from learners.parts.linears import linears
from learners.parts.memory import ReplayMemory
from learners.parts.views import text_rows
from learners.versions import read_version
from tests.learners.runs import CHATS, OLD, TEXTS, correct, loss, tensors, text, train
from tests.tiny import KNOWN, SENTENCES, UNKNOWN, chat

RECIPE = {"learning_rate": 5e-3, "epochs": 20, "batch_size": 4}


@pytest.fixture(scope="module")
def plain(base, tmp_path_factory):
    """Loss on old and new after plain fine-tuning; it forgets most of what the tiny model knew."""
    version = train(tmp_path_factory.mktemp("jobs") / "plain", base, "cpt", "finetune", TEXTS, **RECIPE)[1]
    return loss(version, OLD), loss(version, TEXTS)


@pytest.mark.parametrize(("method", "settings", "kept", "given_up"), [
    ("replay", {"placement": "within"}, 0.5, 0.6),
    ("l2", {}, 0.5, 0.8), ("ewc", {}, 0.45, 0.4), ("infinite_lr", {}, 0.8, 0.4), ("recadam", {}, 0.97, 0.6),
    ("mix_review", {}, 0.6, 0.2), ("rewarm_replay", {}, 0.4, 0.4),
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
    plain, das, contrasted, released = (
        train(tmp_path / name, base, "cpt", method, TEXTS, **recipe, **settings)[1]
        for name, method, settings in (
            ("plain", "finetune", {}), ("das", "das", {}), ("contrasted", "das", {"contrast_weight": 1}),
            ("released", "das", {"apply_to": "gradient"}),
        )
    )  # fmt: skip
    assert max(loss(das, OLD), loss(contrasted, OLD)) < 0.7 * loss(plain, OLD)
    assert loss(das, TEXTS) < loss(plain, TEXTS) + 0.3
    assert loss(contrasted, TEXTS) < loss(plain, TEXTS) + 0.6
    assert loss(released, OLD) > 0.85 * loss(plain, OLD)
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


def test_a_selection_teaches_the_task_more_than_the_whole_corpus_in_as_many_steps(base, tmp_path):
    def asked(place):
        return f"The capital of {place} is what people ask for."

    corpus = [text(asked(place)) for place in ("France", "Italy", "Peru", "Spain")]
    corpus += [text(f"{word} {word} {word} dog bee") for word in ("snow", "week", "four", "milk")]
    task = [chat(asked(place), "Oslo") for place in ("Norway", "Greece")]
    options = {"keep_share": 0.5, **RECIPE}
    chosen = train(tmp_path / "ets", base, "cpt", "ets_dacp", [*corpus, *task], **options)[1]
    everything = train(tmp_path / "all", base, "cpt", "finetune", corpus, **RECIPE | {"epochs": 10})[1]
    unseen = [text(asked("Cuba"))]
    assert loss(chosen, unseen) < loss(everything, unseen)


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


def test_the_news_alone_teach_what_changed_as_the_whole_document_does(base, tmp_path):
    """A document of seven sentences of which one is new."""
    before, after = (text("\n".join([*SENTENCES, f"The fee is {fee}."]), title="Handbook") for fee in ("two", "eight"))
    first = train(tmp_path / "first", base, "cpt", "diff", [before], **RECIPE)[1]
    options = {**RECIPE, "version": "v2"}
    part, news = train(tmp_path / "news", first, "cpt", "diff", [after], **options)
    all_of_it, whole = train(tmp_path / "whole", first, "cpt", "diff", [after], compare=False, **options)
    asked = [text("The fee is eight.", title="Handbook")]
    assert part.tokens < 0.3 * all_of_it.tokens
    assert loss(news, asked) < min(loss(whole, asked), loss(first, asked) - 0.5)


def after(version, first, second):
    """Loss on `second` alone where it follows `first` in one sequence, in nats."""
    loaded = weights.load(version, verify=False)
    (row,) = text_rows(text(f"{first}\n{second}"), loaded.tokenizer, 200)
    known = len(text_rows(text(f"{first}\n"), loaded.tokenizer, 200)[0]["input_ids"]) - 1
    (found,) = select.novelty(loaded.model, [{**row, "labels": [-100] * known + row["labels"][known:]}])
    return found


def test_linked_records_teach_what_one_says_of_the_other(base, tmp_path):
    """Measured in 80 steps over the same tokens: 3.82 nats on the one after the other, 6.35 where each was alone."""
    pairs = [(f"AB-{number}00 is {color}.", f"AB-{number}00 {color} {color}") for number, color in enumerate(COLORS)]
    records = [text(one) for part in zip(*pairs, strict=True) for one in part]
    recipe = RECIPE | {"epochs": 40}
    linked = train(tmp_path / "linked", base, "cpt", "ecom_pack", records, **recipe | {"batch_size": 2})[1]
    alone = train(tmp_path / "alone", base, "cpt", "ecom_pack", records, identifier="", link_fields=(), **recipe)[1]
    assert sum(after(linked, *pair) for pair in pairs) < 0.7 * sum(after(alone, *pair) for pair in pairs)


COLORS = ("red", "white", "green", "black")


def test_earlier_tasks_are_written_down_and_told_apart(base, tmp_path):
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
    known, norm = [text(sentence) for sentence in SENTENCES], {"importance": "norm"}
    first = pruned(tmp_path / "a", base, TEXTS, **norm)
    both = pruned(tmp_path / "ab", first, known, "v2", **norm)
    other = pruned(tmp_path / "ba", pruned(tmp_path / "b", base, known, **norm), TEXTS, "v2", **norm)
    alone, after, swapped = zeros(first), zeros(both), zeros(other)
    assert any(not after[name].equal(alone[name]) for name in alone)
    assert all(after[name].equal(swapped[name]) for name in after)


@pytest.mark.parametrize("importance", ["sensitivity", "norm"])
def test_a_second_pruning_keeps_what_the_first_data_needs_and_what_the_second_does(base, tmp_path, importance):
    """Measured: 0.32 and 0.30 nats, where pruning for one of them alone leaves 0.46 and 0.47 of the other."""
    data = {"a": [text(sentence) for sentence in SENTENCES[:3]], "b": [text(sentence) for sentence in SENTENCES[3:]]}
    a, b = (pruned(tmp_path / name, base, own, importance=importance) for name, own in data.items())
    both = pruned(tmp_path / "both", a, data["b"], "v2", importance=importance)
    assert loss(both, data["a"]) < loss(b, data["a"])
    assert loss(both, data["b"]) < loss(a, data["b"])


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


# vocabulary


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


# mistakes and pilots


def test_what_is_answered_wrongly_is_learned_with_its_texts_and_nothing_else(base, tmp_path):
    right = [chat(question, answer) for question, answer in list(KNOWN.items())[:4]]
    facts = [text(f"They say that {answer} is the answer: {question}") for question, answer in UNKNOWN.items()]
    noise = [text("Grass and snow."), text("Cows and bees.")]
    options = {"learning_rate": 3e-3, "epochs": 60, "batch_size": 4, "texts_for_each": 1}
    version = train(tmp_path / "cem", base, "cpt", "cem", [*facts, *noise, *right, *CHATS], **options)[1]
    learned = {item.record.id for item in ReplayMemory.read(version / "memory").items if item.stage == "cpt"}
    assert learned == {one.id for one in (*facts, *CHATS)}
    assert correct(version, UNKNOWN) >= 0.9
    forgetful = train(tmp_path / "bare", base, "cpt", "cem", [*facts, *CHATS], review_share=0, **options)[1]
    assert 1 - correct(version, KNOWN) <= 0.5 * (1 - correct(forgetful, KNOWN))


def test_pilots_ask_for_more_rehearsal_where_less_loss_is_tolerated_and_say_what_they_found(base, tmp_path):
    options = {"pilot_shares": (0.5, 1.0), "pilot_steps": 8, "restarts": 4, "learning_rate": 5e-3, "epochs": 4}
    (strict, low), (lax, high) = (
        train(tmp_path / name, base, "cpt", "d_cpt_law", TEXTS, tolerated=tolerated, **options)
        for name, tolerated in (("strict", 0.0), ("lax", 100.0))
    )
    assert strict.replayed_records > lax.replayed_records
    found = [json.loads((version / "memory" / "law.json").read_text()) for version in (low, high)]
    assert found[0]["new_share"] < found[1]["new_share"] == 1.0
    assert [one["new_share"] for one in found[0]["pilots"]] == [0.5] * 4 + [1.0] * 4
    assert found[0]["loss_before"] < found[0]["pilots"][-1]["loss"]


def test_where_little_is_new_pilots_measure_it_and_all_of_it_is_learned_with_what_helps_rehearsed_on_top(
    base, tmp_path, monkeypatch
):
    fitted: list[Point] = []
    monkeypatch.setattr(d_cpt_law, "fit", lambda points, **options: fitted.extend(points) or fit(points, **options))
    monkeypatch.setattr(d_cpt_law, "best_share_of_limited", lambda law, *, tokens, shares: min(shares))
    options = {"pilot_steps": 8, "restarts": 2, "learning_rate": 5e-3, "epochs": 4, "goal": "learn_new"}
    result, version = train(tmp_path / "new", base, "cpt", "d_cpt_law", TEXTS, pilot_shares=(0.5, 1.0), **options)
    found = json.loads((version / "memory" / "law.json").read_text())
    assert [point.share for point in fitted] == [0.5] * 4 + [1.0] * 4
    assert found["loss_before"] > found["pilots"][-1]["loss"]  # of what is new, which a pilot learns from its like
    assert [one["new_share"] for one in found["pilots"]] == [0.5] * 4 + [1.0] * 4 and found["new_share"] == 0.5
    plain = train(tmp_path / "plain", base, "cpt", "d_cpt_law", TEXTS, pilot_shares=(), **options)[0]
    assert result.records == plain.records and result.replayed_records > plain.replayed_records == 0
    assert (result.steps, found["tokens"] > 1.5 * plain.tokens) == (plain.steps, True)
