"""The pool of adapters by itself: mixtures, routes of batches, caches, gradients, and what is refused."""

import pytest
import torch

from learners.parts import extensions, packing
from learners.parts.extensions.adapter_pool import Kind, layers, prompt_tokens
from learners.parts.extensions.routers import Router


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


def test_rows_that_are_routed_are_never_packed(model):
    rows = {"input_ids": torch.ones(4, 9, dtype=torch.long), "attention_mask": torch.ones(4, 9, dtype=torch.long)}
    rows["labels"] = torch.full((4, 9), -100).index_fill(1, torch.tensor([8]), 1)
    assert packing.allow(model) and packing.packed(model, rows)
    pool_on(model, torch.ones(4, 3))
    assert not packing.allow(model)
    assert packing.packed(model, rows) is None


def test_a_pool_stands_on_the_layers_that_were_asked_for(model):
    assert {name.rpartition(".")[2] for name in layers(model, ("q_proj", "v_proj"))} == {"q_proj", "v_proj"}
    assert len(layers(model, "auto")) == 14
    assert layers(model, "attention")["model.layers.0.self_attn.q_proj"] == [64, 64]
