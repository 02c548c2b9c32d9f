"""Promises of every router of a pool of adapters, in a version that one of its methods made."""

import pytest
import torch

from learners import weights
from learners.failures import InvalidInput
from learners.parts import extensions
from learners.parts.extensions.adapter_pool import prompt_tokens
from learners.parts.views import rehearsal_rows
from learners.versions import read_version
from tests.learners.pool_runs import QUICK, greedy, said
from tests.learners.runs import CHATS, tensors, train

DYNAMIC = {"mode": "dynamic"}


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
