"""Methods that keep a pool of adapters and a router: who answers, who learns, and what stays bit for bit as it was.

Measured on the model that copies symbols, tasks of twenty symbols each, 120 steps. Losses on tasks 1, 2, 3 after the
third: elm 0.016, 0.016, 0.015, every request at its expert; slm 0.018, 0.019, 0.019, every slot of the right task; sapt
0.016, 0.020, 0.025 with 0.99 of task 1 at its adapter, and at the paper's temperature 0.018, 3.149, 0.025. Losses on
tasks 1, 2 after the second: sapt without the divergence 3.7, 0.017 with 0.5 at each adapter; conpet 0.017, 0.017 with
twenty stored records, where mixing in 1% of the earlier task leaves 0.76, 0.018; dynamic 0.016, 0.016.
"""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from learners import durable, weights
from learners.failures import InvalidInput
from learners.methods import settings_for
from learners.methods.conpet import _balanced
from learners.parts import extensions, keep
from learners.parts.extensions.adapter_pool import Kind, layers, prompt_tokens
from learners.parts.extensions.routers import Router
from learners.parts.mix import Order
from learners.parts.views import rehearsal_rows
from learners.versions import read_version
from monitors.engines import Prompt, in_order
from monitors.engines.residents import Residents
from monitors.engines.transformers import TransformersEngine
from tests.learners.runs import CHATS, tensors, train
from tests.learners.symbol_runs import loss
from tests.symbols import OWN, task

QUICK = {"learning_rate": 2e-3, "epochs": 2, "batch_size": 2}
DYNAMIC = {"mode": "dynamic"}


def rows(version, number, seed=9, count=64):
    """Questions of a task that were not learned: model, ids, labels."""
    loaded = weights.load(version, verify=False)
    found = [row for one in task(number, count, symbols=OWN[number], seed=seed)
             for row in rehearsal_rows(one, loaded.tokenizer, 64)]  # fmt: skip
    return loaded.model, *(torch.tensor([row[name] for row in found]) for name in ("input_ids", "labels"))


def routes(version, number):
    """Weights of all slots for questions of a task (questions x slots)."""
    model, ids, labels = rows(version, number)
    with torch.inference_mode():
        return extensions.attached(model).route(model, ids, prompt_tokens(labels, torch.ones_like(ids)))


def answered(version, number):
    """Logits of questions of a task and their answers, each routed by its question."""
    model, ids, labels = rows(version, number)
    with torch.inference_mode():
        return model(input_ids=ids, labels=labels).logits


# elm


@pytest.fixture(scope="module")
def expert(learn):
    return learn("elm", 1)


@pytest.fixture(scope="module")
def experts(learn, expert):
    return learn("elm", 2, expert)


@pytest.mark.slow
def test_every_request_finds_the_expert_of_its_task_and_nothing_is_forgotten(expert, experts):
    for number in (1, 2):
        assert routes(experts, number)[:, number - 1].eq(1).all()
    assert loss(experts, 1) == loss(expert, 1) < 0.05
    assert loss(experts, 2) < 0.05


@pytest.mark.slow
def test_another_expert_leaves_the_answers_of_earlier_ones_bit_for_bit(expert, experts):
    assert answered(experts, 1).equal(answered(expert, 1))
    kept, grown = tensors(expert), tensors(experts)
    assert all(grown[name].equal(value) for name, value in kept.items() if name.startswith("added.0."))


@pytest.mark.slow
def test_a_routed_answer_is_that_of_the_expert_alone_bit_for_bit(experts):
    model, ids, labels = rows(experts, 2)
    learned = {name: value for name, value in tensors(experts).items() if name.startswith("added.1.")}
    alone = as_peft(
        weights.read_weights(read_version(experts).weights), list(extensions.attached(model)._layers), learned
    )
    with torch.inference_mode():
        assert model(input_ids=ids, labels=labels).logits.equal(alone(input_ids=ids).logits)


def as_peft(model, names, learned):
    """One slot of a pool as an ordinary LoRA adapter."""
    config = LoraConfig(r=16, lora_alpha=32, target_modules=names, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config).eval()
    for number, name in enumerate(names):
        layer = model.get_submodule(name)
        layer.lora_A["default"].weight.data = learned[f"added.1.down.{number}"][0]
        layer.lora_B["default"].weight.data = learned[f"added.1.up.{number}"][0]
    return adapted


@pytest.mark.slow
def test_an_engine_answers_a_batch_of_differently_routed_requests_as_each_alone(experts):
    """Rows leave the batch at different times, and each keeps its expert."""
    loaded = weights.load(experts, verify=False)
    engine = TransformersEngine(loaded.model, loaded.tokenizer)
    asked = [one.content["messages"][0]["content"] for n in (1, 2, 1, 2) for one in task(n, 3, symbols=OWN[n], seed=n)]
    limits = [1 + index % 6 for index in range(len(asked))]
    prompts = [Prompt(tokens=tuple(loaded.tokenizer(f"{one} =")["input_ids"])) for one in asked]
    said = in_order(engine.generate(prompts, limits), len(prompts))
    assert said == [greedy(loaded, prompt.tokens, limit) for prompt, limit in zip(prompts, limits, strict=True)]
    assert any(one.split() != asked[index].split()[1:][: limits[index]] for index, one in enumerate(said))


def greedy(loaded, prompt, limit):
    """A plain loop of whole forward passes, in which the prompt alone is read by the router."""
    ids = torch.tensor([prompt])
    for _ in range(limit):
        labels = torch.where(torch.arange(ids.shape[1]) < len(prompt), -100, ids)
        with torch.inference_mode():
            token = loaded.model(input_ids=ids, labels=labels).logits[0, -1].argmax()
        ids = torch.cat([ids, token[None, None]], dim=1)
    return loaded.tokenizer.decode(ids[0, len(prompt) :], skip_special_tokens=True)


def test_what_the_model_below_knows_is_left_to_it_bit_for_bit(base, tmp_path):
    version = train(tmp_path / "job", base, "cit", "elm", CHATS, **QUICK)[1]
    known, learned = "What is the capital of France?", "What is the capital of Zorbia?"
    ours, below = weights.load(version), weights.load(base)
    assert said(ours, known).equal(said(below, known))
    assert not said(ours, learned).equal(said(below, learned))


def said(loaded, question):
    turn = [{"role": "user", "content": question}]
    text = loaded.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    with torch.inference_mode():
        return loaded.model(**loaded.tokenizer(text, return_tensors="pt")).logits


def test_a_pool_stands_over_the_adapter_of_its_parent_merged_or_not(base, tmp_path):
    parent = train(tmp_path / "one", base, "cit", "finetune", CHATS[:2], **QUICK)[1]
    version = train(tmp_path / "two", parent, "cit", "elm", CHATS[2:], version="v2", others=0, **QUICK)[1]
    question = "What color is the Quill badge?"
    found, merged = said(weights.load(version), question), said(Residents().bring(version), question)
    torch.testing.assert_close(found, merged, atol=1e-4, rtol=1e-4)
    assert not found.equal(said(weights.load(parent), question))
    assert not found.equal(said(weights.load(base), question))


# slm


@pytest.fixture(scope="module")
def slots(learn):
    return learn("slm", 1)


@pytest.fixture(scope="module")
def more_slots(learn, slots):
    return learn("slm", 2, slots)


@pytest.mark.slow
def test_keys_retrieve_the_slots_of_a_requests_own_task(more_slots):
    for number in (1, 2):
        own = routes(more_slots, number)[:, 4 * (number - 1) : 4 * number]
        assert (own > 0).sum() / own.shape[0] / 2 >= 0.95
    assert max(loss(more_slots, number) for number in (1, 2)) < 0.05


@pytest.mark.slow
def test_weights_of_retrieved_slots_sum_to_one_for_each_request(more_slots):
    found = torch.cat([routes(more_slots, 1), routes(more_slots, 2)])
    torch.testing.assert_close(found.sum(dim=1), torch.ones(len(found)))
    assert (found > 0).sum(dim=1).eq(2).all()


@pytest.mark.slow
def test_requests_that_retrieve_old_slots_only_are_answered_bit_for_bit_as_before(slots, more_slots):
    old = routes(more_slots, 1)[:, 4:].eq(0).all(dim=1)
    assert old.float().mean() > 0.9
    assert answered(more_slots, 1)[old].equal(answered(slots, 1)[old])


# sapt


@pytest.fixture(scope="module")
def attended(learn):
    return learn("sapt", 1)


@pytest.fixture(scope="module")
def kept(learn, attended):
    return learn("sapt", 3, learn("sapt", 2, attended))


@pytest.fixture(scope="module")
def drifted(learn, attended):
    return learn("sapt", 2, attended, kl_weight=0)


@pytest.mark.slow
def test_the_divergence_keeps_an_earlier_task_at_its_adapter(kept, drifted):
    assert routes(kept, 1)[:, 0].mean() > 0.9
    assert routes(drifted, 1)[:, 0].mean() < 0.7
    assert max(loss(kept, number) for number in (1, 2, 3)) < 0.05
    assert loss(drifted, 1) > 1


@pytest.mark.slow
def test_keys_of_earlier_tasks_stay_bit_for_bit(attended, kept):
    before, after = tensors(attended), tensors(kept)
    assert after["router.keys.0"].equal(before["router.keys.0"])
    assert not after["router.inward.weight"].equal(before["router.inward.weight"])


@pytest.mark.slow
def test_what_is_kept_of_a_task_are_some_of_its_prompts_and_their_mean_weights(kept):
    found = keep.read(kept / "memory", "sapt")
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        **{f"prompts.{number}": (64, 64) for number in (1, 2, 3)},
        **{f"weights.{number}": (number,) for number in (1, 2, 3)},
    }
    assert all(float(found[f"weights.{number}"].sum()) == pytest.approx(1) for number in (1, 2, 3))


# conpet


def order(tasks, rows_of_each=20):
    return Order(lengths=[5] * 37, remembered=[5] * tasks * rows_of_each, batch_size=8, epochs=3, seed=1)


def balanced(tasks, *, most_steps=500):
    earlier = [list(range(20 * number, 20 * number + 20)) for number in range(tasks)]
    return _balanced(earlier, 0.5, most_steps, order(tasks))


def test_a_version_takes_as_many_steps_after_six_tasks_as_after_two():
    assert len(balanced(2)) == len(balanced(6)) == 30
    assert len(balanced(2, most_steps=7)) == len(balanced(6, most_steps=7)) == 7


def test_half_of_every_batch_is_old_and_every_old_task_comes_alike():
    batches = balanced(6)
    assert all(len(batch.new) == len(batch.replayed) for batch in batches)
    drawn = torch.bincount(torch.tensor([row // 20 for batch in batches for row in batch.replayed]), minlength=6)
    assert drawn.sum() == 3 * 37
    assert drawn.min() > 8


@pytest.mark.slow
def test_half_and_half_keeps_what_a_share_of_one_percent_loses(learn):
    first = learn("conpet", 1, memory_records=20)
    even = learn("conpet", 2, first, most_steps=120)
    mixed = learn("replay", 2, first, placement="fraction", replay_share=0.01)
    assert loss(even, 1) < 0.3 * loss(mixed, 1)
    assert loss(even, 2) < 0.1


@pytest.fixture(scope="module")
def selected(learn):
    return learn("conpet", 2, learn("conpet", 1, **DYNAMIC), **DYNAMIC)


@pytest.mark.slow
def test_the_selector_finds_the_adapter_of_a_request(selected):
    for number in (1, 2):
        assert routes(selected, number)[:, number - 1].mean() > 0.95
        assert loss(selected, number) < 0.05


def test_a_selector_without_stored_prompts_of_every_adapter_is_not_fitted(base, tmp_path):
    first = train(tmp_path / "one", base, "cit", "conpet", CHATS[:2], **QUICK, **DYNAMIC)[1]
    (first / "memory" / "conpet.safetensors").unlink()
    durable.write_manifest(first)
    with pytest.raises(InvalidInput, match="1 adapters, and 0 of them have stored prompts"):
        train(tmp_path / "two", first, "cit", "conpet", CHATS[2:], version="v2", **QUICK, **DYNAMIC)


# every router


ROUTERS = {
    "sapt": {}, "slm": {"slots": 2, "chosen": 2}, "elm": {}, "conpet": DYNAMIC,
}  # fmt: skip


@pytest.fixture(scope="module", params=ROUTERS)
def pooled(request, base, tmp_path_factory):
    """Each method's pool of two short tasks: parent, child."""
    folder, options = tmp_path_factory.mktemp("pools"), {**QUICK, **ROUTERS[request.param]}
    first = train(folder / "one", base, "cit", request.param, CHATS[:2], **options)[1]
    return first, train(folder / "two", first, "cit", request.param, CHATS[2:], version="v2", **options)[1]


def test_a_router_reads_no_answer(pooled):
    loaded = weights.load(pooled[1])
    pool = extensions.attached(loaded.model)
    (row,) = rehearsal_rows(CHATS[0], loaded.tokenizer, 64)
    ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
    prompt = prompt_tokens(labels, torch.ones_like(ids))
    changed = torch.where(prompt, ids, torch.full_like(ids, 5))
    assert not changed.equal(ids)
    with torch.inference_mode():
        found = [pool.route(loaded.model, one, prompt) for one in (ids, changed)]
        queries = [pool.router.query(loaded.model, one, prompt) for one in (ids, changed)]
        whole = [pool.router.query(loaded.model, one, torch.ones_like(ids)) for one in (ids, changed)]
    assert not whole[0].equal(whole[1])
    assert queries[0].equal(queries[1])
    assert found[0].equal(found[1])


def test_slots_and_keys_of_the_parent_stay_bit_for_bit(pooled):
    before, after = (tensors(version) for version in pooled)
    fixed = [name for name in before if name.startswith(("added.", "router.keys."))]
    assert fixed
    assert all(after[name].equal(before[name]) for name in fixed)


def test_a_pool_taken_off_leaves_its_base_bit_for_bit(base, pooled):
    loaded, plain = weights.load(pooled[1]), weights.load(base)
    ids = loaded.tokenizer("What is the capital of Zorbia?", return_tensors="pt").input_ids
    with torch.inference_mode():
        expected = plain.model(input_ids=ids).logits
        before = loaded.model(input_ids=ids).logits
        extensions.attached(loaded.model).detach(loaded.model)
        assert loaded.model(input_ids=ids).logits.equal(expected)
    assert before.shape == expected.shape


def test_a_pool_follows_its_model_into_half_precision(pooled):
    half, whole = (said(weights.load(pooled[1], dtype=dtype), "Who is it?") for dtype in ("bfloat16", "float32"))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), whole, atol=0.5, rtol=0.1)


def test_a_padded_batch_is_routed_as_each_request_alone_and_with_a_cache_as_without(pooled):
    loaded = weights.load(pooled[1])
    loaded.tokenizer.padding_side = "left"
    asked = [one.content["messages"][0]["content"] for one in CHATS]
    together = loaded.model.generate(
        **(inputs := loaded.tokenizer(asked, return_tensors="pt", padding=True)), max_new_tokens=6, do_sample=False,
        eos_token_id=None,
    )[:, inputs["input_ids"].shape[1] :]  # fmt: skip
    for one, answer in zip(asked, together, strict=True):
        ids = loaded.tokenizer(one)["input_ids"]
        assert loaded.tokenizer.decode(answer, skip_special_tokens=True) == greedy(loaded, ids, 6)


def test_a_pool_is_continued_by_its_own_method_alone(pooled, tmp_path):
    method = read_version(pooled[0]).spec.method
    other = "elm" if method != "elm" else "slm"
    with pytest.raises(InvalidInput, match="routed by"):
        train(tmp_path / "job", pooled[0], "cit", other, CHATS, epochs=1)


# the parts


class _Fixed(Router):
    """Gives the weights it is told."""

    kind = "fixed"

    def __init__(self, given):
        super().__init__()
        self.given = given

    def configuration(self):
        return {}

    def query(self, model, ids, prompt):
        return self.given

    def weights(self, query, first=0):
        return query[:, first:]


def pool_on(model, given, *, slots=3):
    """A pool of random slots on a model, with these weights for the next requests."""
    at = layers(model, "auto")
    router = {"kind": "nearest", "examples": [0, *[1] * slots]}
    pool = Kind(model.config, layers=at, rank=2, alpha=4, slots=[1] * slots, router=router)
    draw = torch.Generator().manual_seed(0)
    for weight in pool.parameters():
        torch.nn.init.normal_(weight, std=0.1, generator=draw)
    pool.router = _Fixed(given)
    pool.attach(model)
    return pool


def test_a_mixture_is_the_weighted_sum_of_its_slots_at_every_layer(model):
    given = torch.tensor([[0.2, 0.0, 0.8], [0.0, 0.0, 0.0]])
    pool = pool_on(model, given)
    name, layer = "model.layers.0.mlp.up_proj", model.get_submodule("model.layers.0.mlp.up_proj")
    number = list(pool._layers).index(name)
    seen = []
    layer.register_forward_hook(lambda module, arguments, output: seen.append((arguments[0], output)))
    ids = torch.arange(20)[None].repeat(2, 1)
    with torch.no_grad():
        model(input_ids=ids)
    inputs, output = seen[0]
    delta = sum(w * 2 * inputs[0] @ pool.added[slot].down[number][0].T @ pool.added[slot].up[number][0].T
                for slot, w in ((0, 0.2), (2, 0.8)))  # fmt: skip
    torch.testing.assert_close(output[0], inputs[0] @ layer.weight.T + delta, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output[1], inputs[1] @ layer.weight.T, atol=1e-5, rtol=1e-5)


def test_slots_that_no_request_uses_are_not_computed(model):
    pool = pool_on(model, torch.tensor([[0.0, 1.0, 0.0]]))
    with torch.inference_mode():
        before = model(input_ids=torch.arange(8)[None]).logits
        for slot in (0, 2):
            for weight in pool.added[slot].parameters():
                weight.fill_(float("nan"))
        assert model(input_ids=torch.arange(8)[None]).logits.equal(before)


def test_two_batches_in_turn_keep_their_own_routes(model):
    pool = pool_on(model, torch.tensor([[1.0, 0.0, 0.0]]))
    ids, token = torch.arange(10)[None], torch.tensor([[3]])
    with torch.inference_mode():
        one = model(input_ids=ids).past_key_values
        expected = model(input_ids=token, past_key_values=one).logits
        one = model(input_ids=ids).past_key_values
        pool.router.given = torch.tensor([[0.0, 1.0, 0.0]])
        other = model(input_ids=ids).past_key_values
        assert model(input_ids=token, past_key_values=one).logits.equal(expected)
        assert not model(input_ids=token, past_key_values=other).logits.equal(expected)


def test_a_cache_filled_without_the_pool_is_refused(model):
    with torch.inference_mode():
        past = model(input_ids=torch.arange(10)[None]).past_key_values
        pool_on(model, torch.tensor([[1.0, 0.0, 0.0]]))
        with pytest.raises(RuntimeError, match="filled without the extension"):
            model(input_ids=torch.tensor([[3]]), past_key_values=past)


def test_gradients_through_checkpoints_are_the_same(model):
    pool_on(model, torch.tensor([[0.3, 0.0, 0.7]]))
    ids = torch.arange(12)[None]
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train().zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        found.append(extensions.attached(model).added[0].up[0].grad.clone())
    torch.testing.assert_close(found[0], found[1])
    assert found[0].abs().max() > 0


def test_a_router_may_read_what_stands_before_the_first_label_and_of_plain_text_the_first_token():
    mask = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 0], [0, 1, 1, 1, 1]])
    labels = torch.tensor([[-100, -100, -100, 7, -100], [-100, 7, -100, 7, -100], [-100, 7, 7, 7, 7]])
    assert prompt_tokens(labels, mask).int().tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]


def test_packing_is_off_and_refused_where_requests_are_routed():
    for method in ("sapt", "slm", "elm"):
        assert settings_for(method, "cit", {}).packing is False
        with pytest.raises(ValueError, match="packing"):
            settings_for(method, "cit", {"packing": True})
    assert settings_for("conpet", "cit", {"packing": True}).packing
    with pytest.raises(ValueError, match="packing = false"):
        settings_for("conpet", "cit", {"packing": True, **DYNAMIC})


def test_a_pool_stands_on_the_layers_that_were_asked_for(model):
    assert {name.rpartition(".")[2] for name in layers(model, ("q_proj", "v_proj"))} == {"q_proj", "v_proj"}
    assert len(layers(model, "auto")) == 14
    assert layers(model, "attention")["model.layers.0.self_attn.q_proj"] == [64, 64]
