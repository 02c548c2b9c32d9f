"""What each continual instruction tuning method is for: mechanisms exactly, benefits as an ordering.

Measured on the model that copies symbols, tasks of twenty symbols each, 120 steps (loss on task 1 just after it, after
task 2; loss on task 2): one adapter trained on 0.015, 4.16; 0.016. Two adapters without a penalty 0.017, 3.94; 0.018,
with it 0.017, 1.93; 0.048 (lora_alpha 16).
"""

import pytest
import torch

from learners import weights
from learners.failures import InvalidInput
from learners.parts import average, blocks, stack
from learners.parts.penalties import trainable_copy
from learners.parts.views import rehearsal_rows
from learners.versions import read_version
from tests.learners.runs import CHATS, PREFERENCES, tensors, train
from tests.learners.symbol_runs import loss
from tests.symbols import OWN, task
from tests.tiny import KNOWN, chat

# o_lora


@pytest.fixture(scope="module")
def first(learn):
    """The first adapter of a stack; the same as plain fine-tuning makes of that rank."""
    return learn("o_lora", 1)


@pytest.fixture(scope="module")
def apart(learn, first):
    return learn("o_lora", 2, first)


@pytest.fixture(scope="module")
def together(learn, first):
    return learn("o_lora", 2, first, penalty_weight=0)


@pytest.fixture(scope="module")
def onward(learn, first):
    """The first adapter, simply trained further."""
    return learn("finetune", 2, first)


def overlap(version, rank=8):
    """Largest entry of |A1 A2^T| of any layer, and largest cosine between their rows."""
    factors = [value for name, value in tensors(version).items() if "lora_A" in name]
    entries = [a[:rank] @ a[rank:].T for a in factors]
    norms = [a[:rank].norm(dim=1)[:, None] * a[rank:].norm(dim=1) for a in factors]
    cosines = [(entry / norm).abs().max() for entry, norm in zip(entries, norms, strict=True)]
    return float(max(entry.abs().max() for entry in entries)), float(max(cosines))


@pytest.mark.slow
def test_the_penalty_makes_a_new_adapter_orthogonal_to_the_old_one(apart, together):
    entry, cosine = overlap(apart)
    assert cosine < 0.05
    assert entry < 0.02
    assert overlap(together)[1] > 0.2


@pytest.mark.slow
def test_a_stack_is_saved_as_one_adapter_with_the_old_factors_bit_for_bit(first, apart):
    assert read_version(apart).adapter is not None
    old, grown = tensors(first), tensors(apart)
    for name, value in old.items():
        kept = grown[name][: len(value)] if "lora_A" in name else grown[name][:, : value.shape[1]]
        assert kept.equal(value)
        assert sorted(grown[name].shape) == sorted((16, max(value.shape)))


@pytest.mark.slow
def test_a_stack_forgets_less_than_one_adapter_trained_on_or_two_that_overlap(first, apart, together, onward):
    before = loss(first, 1)
    rise = loss(apart, 1) - before
    assert rise < 0.95 * (loss(together, 1) - before)
    assert rise < 0.95 * (loss(onward, 1) - before)
    assert loss(apart, 2) < 0.3


@pytest.mark.slow
def test_one_adapter_answers_as_the_stack_it_was_made_of_whatever_their_scales(first):
    model = weights.trainable(read_version(first), rank=8, alpha=32, full_weights=False, seed=0)
    stack.stacked(model, rank=3, alpha=7, seed=1)
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert learning == {name for name, _ in model.named_parameters() if ".new." in name}
    for name, weight in model.named_parameters():
        if ".lora_B.new." in name:
            torch.nn.init.normal_(weight, std=0.1)
    ids = torch.arange(20, 40)[None]
    with torch.inference_mode():
        expected = model.eval()(input_ids=ids).logits
        torch.testing.assert_close(stack.concatenated(model)(input_ids=ids).logits, expected, atol=1e-5, rtol=1e-5)
    assert stack.rank(model) == 11


@pytest.mark.slow
def test_a_stack_that_would_outgrow_what_engines_serve_is_refused(learn, first):
    with pytest.raises(InvalidInput, match="rank 16, above most_rank=15"):
        learn("o_lora", 2, first, most_rank=15)


def size(version, rank=8):
    """Summed norms of the factors that came with the second task."""
    factors = tensors(version).items()
    return sum(float((value[rank:] if "lora_A" in name else value[:, rank:]).norm()) for name, value in factors)


@pytest.mark.slow
def test_the_norm_on_new_factors_keeps_them_small_and_the_old_ones_as_they_were(learn, first, apart):
    small = learn("o_lora", 2, first, norm_weight=0.1)
    assert size(small) < 0.7 * size(apart)
    old, grown = tensors(first), tensors(small)
    assert all(grown[name][: len(value)].equal(value) for name, value in old.items() if "lora_A" in name)


@pytest.mark.slow
def test_the_norm_is_that_of_every_matrix_that_learns_and_finite_where_one_is_zero(first):
    model = weights.trainable(read_version(first), rank=8, alpha=32, full_weights=False, seed=0)
    stack.stacked(model, rank=3, alpha=7, seed=1)
    learning = {name: one for name, one in model.named_parameters() if one.requires_grad}
    expected = sum(float(one.detach().square().sum()) ** 0.5 for one in learning.values())
    size = stack.Size(0.5)(model, None)
    assert size.item() == pytest.approx(0.5 * expected, rel=1e-5)
    size.backward()
    for name, one in learning.items():
        wanted = torch.zeros_like(one) if "lora_B" in name else 0.5 * one.detach() / one.detach().norm()
        torch.testing.assert_close(one.grad, wanted)


# average


def product(version):
    """B @ A of every layer, scaled as it is applied."""
    scale = 2.0  # lora_alpha / r of every adapter here
    found = tensors(version)
    return {name: scale * found[name.replace("lora_A", "lora_B")] @ a for name, a in found.items() if "lora_A" in name}


def test_of_a_first_adapter_the_average_is_exactly_half_of_it(base, tmp_path):
    plain = train(tmp_path / "plain", base, "cit", "finetune", CHATS)[1]
    half = train(tmp_path / "half", base, "cit", "average", CHATS, blocks=1)[1]
    for name, value in product(half).items():
        torch.testing.assert_close(value, product(plain)[name] / 2, atol=1e-6, rtol=0)


def test_of_full_weights_the_average_is_exactly_between(base, tmp_path):
    plain = train(tmp_path / "plain", base, "cit", "finetune", CHATS, full_weights=True)[1]
    part = train(tmp_path / "part", base, "cit", "average", CHATS, full_weights=True, new_share=0.25, blocks=1)[1]
    before, after = tensors(base), tensors(plain)
    for name, value in tensors(part).items():
        torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * after[name], atol=1e-6, rtol=0)


def test_the_average_of_two_adapters_is_cut_to_the_nearest_of_their_rank(base, tmp_path):
    first = train(tmp_path / "first", base, "cit", "finetune", CHATS[:2])[1]
    plain = train(tmp_path / "plain", first, "cit", "finetune", CHATS[2:], version="v2")[1]
    half = train(tmp_path / "half", first, "cit", "average", CHATS[2:], version="v2", blocks=1)[1]
    before, after = product(first), product(plain)
    for name, value in product(half).items():
        exact = (before[name] + after[name]) / 2
        lost = torch.linalg.svdvals(exact)[16:].norm()
        assert float((value - exact).norm()) <= float(lost) + 1e-5
        assert lost < 0.25 * exact.norm()


def test_blocks_get_the_shares_under_which_the_new_is_likeliest_and_keep_their_mean(model, tokenizer):
    before = trainable_copy(model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".layers.1." in name:  # the upper layer is spoiled, the lower one is as before
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) * 0.1)
    known = [chat(question, answer) for question, answer in list(KNOWN.items())[:4]]
    rows = [row for one in known for row in rehearsal_rows(one, tokenizer, 64)]
    means = average.Average(model, before, blocks=2)
    shares = average.searched(model, means, rows, mean=0.5, steps=5)
    assert shares.mean().item() == pytest.approx(0.5, abs=1e-5)
    assert shares[0] > 0.9 > 0.1 > shares[1]
    assert average.searched(model, means, rows, mean=0.5, steps=0).tolist() == [0.5, 0.5]


@pytest.mark.slow
def test_an_average_lies_between_its_parent_and_plain_fine_tuning(learn, first, onward):
    half = learn("average", 2, first)
    assert loss(first, 1) < loss(half, 1) < loss(onward, 1)
    assert loss(onward, 2) < loss(half, 2) < loss(first, 2)


# safety_mix


@pytest.fixture(scope="module")
def aligned(learn):
    """Knows task 3, which stands for what it must go on saying."""
    return learn("finetune", 3)


def examples(count=32):
    return [one.model_copy(update={"source": "safety"}) for one in task(3, count, symbols=OWN[3], seed=2)]


@pytest.mark.slow
def test_a_share_of_safety_examples_keeps_what_fine_tuning_undoes(learn, aligned):
    undone = learn("finetune", 1, aligned)
    kept = learn("safety_mix", 1, aligned, more=examples(), safety_sources=("safety",))
    assert loss(undone, 3) > 1
    assert loss(kept, 3) < 0.3 * loss(undone, 3)
    assert loss(kept, 1) < 0.3


def test_preferences_of_an_earlier_alignment_stage_are_safety_examples(base, tmp_path):
    norms = train(tmp_path / "norms", base, "ca", "dpo_replay", PREFERENCES, epochs=1)[1]
    result, _ = train(tmp_path / "mix", norms, "cit", "safety_mix", CHATS, version="v2", safety_share=0.5)
    assert result.replayed_records == len(PREFERENCES)


def test_safety_examples_are_rehearsed_and_not_learned_once_like_the_others(base, tmp_path):
    marked = [CHATS[0].model_copy(update={"source": "safety"}), *CHATS[1:]]
    options = {"safety_sources": ("safety",), "epochs": 1, "batch_size": 1, "safety_share": 0.5}
    result, _ = train(tmp_path / "mix", base, "cit", "safety_mix", marked, **options)
    assert (result.records, result.steps, result.replayed_records) == (4, 3, 1)


def test_a_mix_without_a_safety_example_is_refused(base, tmp_path):
    with pytest.raises(InvalidInput, match="no safety example to mix in"):
        train(tmp_path / "mix", base, "cit", "safety_mix", CHATS, safety_sources=("nowhere",))


# llama_pro


def test_a_deeper_model_answers_bit_for_bit_as_before_until_it_learns(model, tokenizer):
    ids = tokenizer("What is the capital of France?", return_tensors="pt").input_ids
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        added = blocks.expanded(model, groups=2, each=2)
        assert model(input_ids=ids).logits.equal(before)
    assert (len(added), model.config.num_hidden_layers) == (2, 4)


@pytest.fixture(scope="module")
def deeper(learn):
    return learn("llama_pro", 1, groups=2)


@pytest.mark.slow
def test_only_new_blocks_learn_and_without_them_the_parent_is_back(symbols, deeper):
    before, after = (weights.load(one).model for one in (symbols, deeper))
    assert loss(deeper, 1) < 0.3
    assert len(after.model.layers) == after.config.num_hidden_layers == 6
    after.model.layers = torch.nn.ModuleList([after.model.layers[number] for number in (0, 1, 3, 4)])
    kept = after.state_dict()
    assert all(value.equal(kept[name]) for name, value in before.state_dict().items())


@pytest.mark.slow
def test_a_deeper_model_generates_alike_with_and_without_a_cache(deeper):
    loaded = weights.load(deeper)
    asked = loaded.tokenizer("t1 s0 s1 s2 s3 s4 s5 =", return_tensors="pt")
    answers = [
        loaded.model.generate(**asked, max_new_tokens=7, do_sample=False, use_cache=cached) for cached in (True, False)
    ]
    assert answers[0].equal(answers[1])


def test_a_model_without_the_known_projections_is_not_expanded():
    from transformers import GPT2Config, GPT2LMHeadModel

    other = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=16))
    with pytest.raises(InvalidInput, match="use a model of the Llama family"):
        blocks.expanded(other, groups=1, each=1)
