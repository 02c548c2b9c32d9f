"""Mechanisms of the continual pre-training methods: selection, differences, links, distillation, units, masks."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from learners.methods.contract import Moment, Step
from learners.parts import keep, select, units, vocabulary
from learners.parts.contrast import Contrast, contrast
from learners.parts.distill import Distillation, Teacher
from learners.parts.gates import gated
from learners.parts.generate import sampled_rows
from learners.parts.linears import input_norms, linears, through_blocks
from learners.parts.masks import fold, mask, packed, unpacked
from learners.parts.penalties import AnchoredQuadratic, equal_importance, trainable_copy
from learners.parts.updates import Scale
from learners.parts.views import rehearsal_rows, separator, text_rows
from learners.weights import read_weights
from tests.learners.runs import CHATS, TEXTS, text
from tests.tiny import SENTENCES, tiny_weights


@pytest.fixture
def rows(tokenizer):
    return [row for one in (*TEXTS, *CHATS) for row in rehearsal_rows(one, tokenizer, 200)]


def batch(rows, pad=0):
    """Rows as the trainer collates them."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    return DataCollatorForLanguageModeling(pad_token_id=pad)(rows)


def step(rows):
    return Step(new=batch(rows), rehearsal=None, moment=Moment(0, 1, 1e-3))


def logits(model, rows):
    with torch.inference_mode():
        return model.eval()(input_ids=torch.tensor([rows[0]["input_ids"]])).logits


# penalties


def test_an_equal_importance_is_the_squared_distance(model):
    anchor = trainable_copy(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.5)
    size = sum(weight.numel() for weight in model.parameters())
    found = AnchoredQuadratic(equal_importance(anchor), anchor, 2.0)(model, Step({}, None, Moment(0, 1, 1e-3)))
    assert float(found.detach()) == pytest.approx(0.25 * size, rel=1e-4)


# distillation


@pytest.mark.parametrize("distance", ["logits", "hidden", "relational"])
def test_a_student_equal_to_its_teacher_has_no_distance_and_no_gradient(model, rows, distance):
    term = Distillation(Teacher(model), distance=distance, source="new", weight=3.0, temperature=0.5)
    found = term(model.eval(), step(rows))
    found.backward()
    assert float(found.detach()) == pytest.approx(0.0, abs=1e-5)
    assert max(float(weight.grad.abs().max()) for weight in model.parameters() if weight.grad is not None) < 1e-4


@pytest.mark.parametrize("distance", ["logits", "hidden", "relational"])
def test_a_teacher_stays_what_it_was_while_the_student_moves(model, rows, distance):
    term = Distillation(Teacher(model), distance=distance, source="new", weight=1.0, temperature=0.5)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    found = term(model, step(rows))
    found.backward()
    assert float(found.detach()) > 1e-4
    assert model.model.layers[0].mlp.up_proj.weight.grad.abs().max() > 0


def test_a_step_without_rehearsal_is_not_distilled_on_it(model, rows):
    term = Distillation(Teacher(model), distance="logits", source="rehearsal", weight=1.0, temperature=1.0)
    assert term(model, step(rows)) == 0


# units


def test_gates_of_one_change_no_logit(model, rows):
    before = logits(model, rows)
    with gated(model):
        assert logits(model, rows).equal(before)
    assert logits(model, rows).equal(before)


def test_two_equal_passes_say_nothing_of_importance_and_two_noisy_ones_do(model, rows):
    silent = units.general_importance(model, rows[:2], noise=0.0, seed=0)
    noisy = units.general_importance(model, rows[:2], noise=0.1, seed=0)
    assert max(float(value.abs().max()) for value in silent.values()) == 0.0
    assert min(float(value.max()) for value in noisy.values()) > 0


def test_an_importance_is_the_mean_size_of_the_gradient_at_a_gate(model, rows):
    found = units.domain_importance(model, rows[:2])
    down = model.model.layers[0].mlp.down_proj
    expected = torch.zeros(down.out_features)
    for row in rows[:2]:
        kept = {}
        handle = down.register_forward_hook(lambda module, arguments, output, kept=kept: kept.update(out=output))
        loss = model.eval()(input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])).loss
        handle.remove()
        (gradient,) = torch.autograd.grad(loss, kept["out"])
        expected += (gradient * kept["out"]).sum(dim=(0, 1)).detach().abs() / 2
    torch.testing.assert_close(found["0.outputs"], expected, rtol=1e-3, atol=1e-6)


def test_normalised_importances_lie_below_one_and_accumulate_by_the_larger():
    found = units.normalised({"0.heads": torch.tensor([0.0, 1.0, 5.0]), "0.outputs": torch.ones(4)})
    assert found["0.heads"].max() < 1
    assert found["0.outputs"].equal(torch.zeros(4))
    more = units.accumulated({"a": torch.tensor([0.1, 0.9])}, {"a": torch.tensor([0.5, 0.2])})
    assert more["a"].tolist() == pytest.approx([0.5, 0.9])


def test_a_unit_that_mattered_fully_never_moves_and_one_that_did_not_moves_freely(model, rows):
    important = {f"{layer}.{family}": torch.zeros(size) for layer in (0, 1) for family, size in UNITS.items()}
    important["0.heads"][1] = important["0.neurons"][7] = important["1.outputs"][3] = 1.0
    free = read_weights(tiny_weights() / "weights")
    learn(free, rows)
    start = {name: weight.clone() for name, weight in model.state_dict().items()}
    learn(model, rows, Scale(units.shares_of_update(model, important)))
    now, untouched = model.state_dict(), free.state_dict()
    for name, place in HELD.items():
        assert now[name][place].equal(start[name][place]), name
        assert not untouched[name][place].equal(start[name][place]), name
    query = "model.layers.0.self_attn.q_proj.weight"
    assert not now[query][:16].equal(start[query][:16])


HELD = {
    "model.layers.0.self_attn.q_proj.weight": slice(16, 32),
    "model.layers.0.self_attn.k_proj.weight": slice(16, 32),
    "model.layers.0.self_attn.v_proj.weight": slice(16, 32),
    "model.layers.0.self_attn.o_proj.weight": (slice(None), slice(16, 32)),
    "model.layers.0.mlp.gate_proj.weight": 7,
    "model.layers.0.mlp.up_proj.weight": 7,
    "model.layers.1.mlp.down_proj.weight": 3,
}
"""Where the weights of head 1, neuron 7 (layer 0) and output 3 (layer 1) lie, with heads of width 16."""


def test_keys_and_values_shared_by_heads_follow_the_one_that_matters_most():
    sizes = {"hidden_size": 32, "intermediate_size": 48, "vocab_size": 20, "num_attention_heads": 4}
    grouped = LlamaForCausalLM(LlamaConfig(num_hidden_layers=1, num_key_value_heads=2, **sizes))
    important = {
        "0.heads": torch.tensor([1.0, 0.0, 0.0, 0.5]),
        "0.neurons": torch.zeros(48),
        "0.outputs": torch.zeros(32),
    }
    shares = units.shares_of_update(grouped, important)
    values = shares["model.layers.0.self_attn.v_proj.weight"].flatten()
    assert values.tolist() == [0.0] * 8 + [0.5] * 8
    weights = dict(grouped.named_parameters())
    assert all(share.expand_as(weights[name]).shape == weights[name].shape for name, share in shares.items())


def learn(model, rows, scale=None):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for number in range(5):
        optimizer.zero_grad()
        model(**batch(rows)).loss.backward()
        if scale:
            scale.remember(model, Moment(number, 5, 1e-3))
        optimizer.step()
        if scale:
            scale.apply(model, Moment(number, 5, 1e-3))


# contrast


def test_the_contrast_is_the_share_of_its_own_other_view_among_all_others_and_all_that_was_known():
    views, others, known = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0)).unbind()
    cosines = [[torch.cosine_similarity(a, b, dim=0) / 0.05 for b in (*others, *known)] for a in views]
    scores = torch.tensor(cosines)
    expected = -(scores.diagonal() - scores.logsumexp(dim=1)).mean()
    torch.testing.assert_close(contrast(views, others, known), expected)


def test_a_contrast_draws_the_same_noise_at_a_step_whatever_came_before_and_reaches_the_weights(model, rows):
    important = {f"{layer}.{name}": torch.rand(size) for layer in (0, 1) for name, size in UNITS.items()}
    term = Contrast(important, noise=0.1, weight=2.0, seed=1)
    first, second = (Step(batch(rows), None, Moment(number, 2, 1e-3)) for number in (0, 1))
    found = term(model, second)
    assert not term(model, first).equal(found)
    assert term(model, second).equal(found)
    found.backward()
    assert model.model.layers[0].self_attn.q_proj.weight.grad.abs().max() > 0


def test_gates_let_through_what_they_are_told(model, rows):
    plain = logits(model, rows)
    with gated(model, {f"{layer}.{name}": torch.ones(size) for layer in (0, 1) for name, size in UNITS.items()}):
        assert logits(model, rows).equal(plain)
    with gated(model, {f"{layer}.{name}": torch.zeros(size) for layer in (0, 1) for name, size in UNITS.items()}):
        closed = logits(model, rows)
    embedded = model.model.norm(model.get_input_embeddings()(torch.tensor([rows[0]["input_ids"]])))
    torch.testing.assert_close(closed, model.lm_head(embedded).detach())


UNITS = {"heads": 4, "neurons": 128, "outputs": 64}

# masks and pruning


def test_a_mask_of_everything_is_the_model_bit_for_bit_and_only_scores_learn(model, rows):
    before = logits(model, rows)
    model.requires_grad_(False)
    mask(linears(model))
    assert logits(model, rows).equal(before)
    assert {name.rsplit(".", 1)[1] for name, weight in model.named_parameters() if weight.requires_grad} == {"scores"}


def test_a_score_learns_with_the_gradient_of_the_weight_it_gates(model, rows):
    layer = model.model.layers[0].mlp.up_proj
    weight = layer.weight.detach().clone()
    model(**batch(rows)).loss.backward()
    expected = layer.weight.grad * weight
    mask({"up": layer})
    model(**batch(rows)).loss.backward()
    torch.testing.assert_close(layer.parametrizations["weight"][0].scores.grad, expected)


def test_folding_keeps_the_masked_answers_and_packing_keeps_every_bit(model, rows):
    layers = linears(model)
    torch.manual_seed(0)
    used = {name: torch.rand_like(layer.weight) > 0.3 for name, layer in layers.items()}
    mask(layers, used)
    masked = logits(model, rows)
    found = fold(layers.values())
    assert logits(model, rows).equal(masked)
    for name, bits in zip(layers, found, strict=True):
        assert bits.equal(used[name])
        assert unpacked(packed(bits), bits.shape).equal(bits)
        assert len(packed(bits)) == -(-bits.numel() // 8)


def test_input_norms_sum_over_all_tokens_of_all_rows(model, rows):
    seen = []
    layer = model.model.layers[1].mlp.down_proj
    handle = layer.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0].detach()[0]))
    found = input_norms(model, rows[:3])
    handle.remove()
    torch.testing.assert_close(found["model.layers.1.mlp.down_proj"], torch.cat(seen).norm(dim=0), rtol=1e-4, atol=1e-5)
    assert "lm_head" not in found


def test_what_enters_a_block_came_through_the_ones_that_were_changed_before(model, rows):
    found, last = {}, model.model.layers[1].mlp.up_proj

    def change(moments):
        found.update(moments)
        with torch.no_grad():
            for name in moments:
                model.get_submodule(name).weight.mul_(0.5)

    through_blocks(model, rows[:2], change)
    assert found.keys() == linears(model).keys()
    with torch.no_grad():  # the last block was seen before it was changed
        for name in (name for name in found if ".1." in name):
            model.get_submodule(name).weight.mul_(2)
    seen = []
    handle = last.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0].detach()[0]))
    for row in rows[:2]:
        logits(model, [row])
    handle.remove()
    tokens = torch.cat(seen)
    torch.testing.assert_close(found["model.layers.1.mlp.up_proj"], tokens.T @ tokens, rtol=1e-4, atol=1e-3)


# selection


def test_texts_like_the_task_are_found_among_others(model, tokenizer):
    facts = [text(f"The capital of {place} is what people ask for.") for place in ("France", "Italy", "Spain", "Peru")]
    noise = [text(f"{number} {number} {word} {word}") for number, word in enumerate(("dog", "bee", "snow", "week"))]
    own = [text_rows(one, tokenizer, 100)[0] for one in (*noise, *facts)]
    asked = [text(f"The capital of {place} is what we ask for.") for place in ("Norway", "Greece")]
    task = [text_rows(one, tokenizer, 100)[0] for one in asked]
    scores = select.similarity(model.eval(), own, task)
    assert min(scores[4:]) > max(scores[:4])


def test_what_the_model_knows_is_less_novel_than_what_it_does_not(model, tokenizer):
    known = [row for sentence in SENTENCES for row in text_rows(text(sentence), tokenizer, 100)]
    new = [row for one in TEXTS for row in text_rows(one, tokenizer, 100)]
    assert max(select.novelty(model.eval(), known)) < min(select.novelty(model.eval(), new))


def test_diversity_is_the_entropy_of_tokens():
    rows = [{"input_ids": ids, "labels": ids} for ids in ([7, 7, 7, 7], [1, 2, 3, 4])]
    assert select.diversity(rows) == pytest.approx([0.0, 1.3863], abs=1e-4)


def test_the_hard_choice_takes_the_best_in_their_order_and_the_soft_one_prefers_them():
    records = [text(f"t {number}") for number in range(20)]
    scores = [float(number) for number in range(20)]
    assert select.chosen(records, scores, 0.25, sampling="hard", seed=0) == records[15:]
    picked = [one for seed in range(40) for one in select.chosen(records, scores, 0.25, sampling="soft", seed=seed)]
    assert sum(one in records[10:] for one in picked) > 0.6 * len(picked)
    assert len({one.id for one in picked}) > 12


@pytest.mark.parametrize(("part", "numbers"), [("top", range(16, 21)), ("bottom", range(5)), ("median", range(8, 13))])
def test_a_part_of_the_scores_is_chosen_hard_and_preferred_softly(part, numbers):
    records = [text(f"t {number}") for number in range(21)]
    scores, wanted = [float(number) for number in range(21)], [records[number] for number in numbers]
    assert select.chosen(records, scores, 0.24, sampling="hard", seed=0, part=part) == wanted
    drawn = (select.chosen(records, scores, 0.24, sampling="soft", seed=seed, part=part) for seed in range(60))
    assert sum(one in wanted for picked in drawn for one in picked) > 0.35 * 60 * len(wanted)


def test_a_random_part_depends_on_the_seed_alone():
    records = [text(f"t {number}") for number in range(20)]
    scores = [float(number) for number in range(20)]

    def choose(seed, values=scores):
        return select.chosen(records, values, 0.25, sampling="hard", seed=seed, part="random")

    assert (
        choose(0) == choose(0, scores[::-1]) and len({tuple(one.id for one in choose(seed)) for seed in range(9)}) > 5
    )


def test_scores_are_combined_by_rank_whatever_their_units():
    assert select.combined([1, 2, 3], [1e6, 5e6, 9e6], [-1, -0.5, 0]) == [0.0, 0.5, 1.0]


# generation


def test_a_model_replays_what_it_knows(model, tokenizer):
    options = {"max_tokens": 24, "temperature": 1.0, "top_k": 20, "seed": 3}
    pool = sampled_rows(model.eval(), tokenizer, 12, **options)
    assert pool == sampled_rows(model, tokenizer, 12, **options)
    assert len({tuple(row["input_ids"]) for row in pool}) == len(pool) >= 6
    assert all(row["input_ids"][0] == separator(tokenizer) and len(row["input_ids"]) <= 24 for row in pool)
    new = [row for one in TEXTS for row in text_rows(one, tokenizer, 100)]
    assert max(select.novelty(model, pool)) < min(select.novelty(model, new))


# vocabulary


def test_a_grown_tokenizer_reads_new_words_in_one_and_gives_the_text_back(tokenizer):
    told = "We flew to Quixandria twice, Quixandrian friends, and home from Quixandria."
    words = vocabulary.words_to_add([told], tokenizer, most=5, fewest_pieces=3, fewest_times=2)
    assert list(words) == [" Quixandria"]
    larger = vocabulary.grown(tokenizer, words)
    ids = larger(told, add_special_tokens=False)["input_ids"]
    assert larger.decode(ids) == told
    assert ids.count(larger.convert_tokens_to_ids(" Quixandria")) == 3
    assert len(ids) < len(tokenizer(told, add_special_tokens=False)["input_ids"])
    assert len(tokenizer) == len(larger) - 1


def test_a_new_row_starts_as_the_mean_of_its_pieces_and_the_others_stay(model):
    before = model.get_input_embeddings().weight.detach().clone()
    vocabulary.grow(model, len(before) + 2, {len(before): [5, 6, 7]})
    after = model.get_input_embeddings().weight
    torch.testing.assert_close(after[len(before)], before[[5, 6, 7]].mean(dim=0))
    assert after[: len(before)].equal(before)
    assert model.get_output_embeddings().weight.shape == after.shape


# keeping


def test_kept_tensors_are_read_only_where_they_fit(tmp_path):
    keep.write(tmp_path, "x", {"a": torch.ones(2)})
    assert keep.read(tmp_path, "x")["a"].tolist() == [1, 1]
    assert keep.read(tmp_path, "x", like={"a": torch.ones(3)}) is None
    assert keep.read(tmp_path, "absent") is None
