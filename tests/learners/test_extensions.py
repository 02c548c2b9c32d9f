"""Extensions beside a frozen model: taken off they leave no trace, and they answer alike however they are asked."""

import pytest
import torch

from learners import weights
from learners.failures import InvalidInput
from learners.methods.k_adapter import _tapped
from learners.parts import extensions
from learners.parts.views import rehearsal_rows
from learners.versions import read_version
from monitors.engines import Prompt, Turn, in_order
from monitors.engines.transformers import TransformersEngine
from tests.learners.runs import CHATS, OLD, TEXTS, loss, tensors, text, train
from tests.learners.test_method_matrix import logits
from tests.tiny import KNOWN, SENTENCES

RECIPE = {"learning_rate": 5e-3, "epochs": 20, "batch_size": 4}


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


@pytest.mark.slow
def test_a_k_adapter_learns_and_forgets_less(base, adapted, tmp_path):
    plain = train(tmp_path / "plain", base, "cpt", "finetune", TEXTS, **RECIPE)[1]
    assert loss(adapted, TEXTS) < loss(base, TEXTS) - 0.5
    assert loss(adapted, OLD) < 0.6 * loss(plain, OLD)


@pytest.mark.parametrize(("layers", "blocks", "tapped"), [
    (36, 2, [1, 12]), (30, 2, [1, 10]), (24, 3, [1, 8, 16]), (2, 2, [1]), (1, 2, [0]), (30, 30, list(range(1, 30))),
])  # fmt: skip
def test_the_blocks_of_a_k_adapter_tap_the_lower_layers(layers, blocks, tapped):
    assert _tapped(layers, blocks) == tapped


@pytest.mark.slow
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


def test_an_adapter_switched_off_leaves_its_base_bit_for_bit(base, tmp_path):
    loaded = weights.load(train(tmp_path / "lora", base, "cpt", "finetune", TEXTS, **RECIPE | {"epochs": 2})[1])
    inputs = loaded.tokenizer("What is the capital of France?", return_tensors="pt")
    with torch.inference_mode(), loaded.model.disable_adapter():
        assert loaded.model(**inputs).logits.equal(logits(base))
    with torch.inference_mode():
        assert not loaded.model(**inputs).logits.equal(logits(base))


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
def test_an_engine_asks_an_extension_alike_whatever_else_it_asks(request, kind):
    found = request.getfixturevalue(kind)
    loaded = weights.load(found if kind == "adapted" else found[1])
    engine = TransformersEngine(loaded.model, loaded.tokenizer)
    system = Turn("system", " ".join(SENTENCES))  # so long that prompts would share what was computed of it
    asked = [(Prompt((system, Turn("user", one))), said) for one in list(KNOWN)[:3] for said in ("Paris", "Anna Lopez")]
    together = in_order(engine.loglikelihood(asked), len(asked))
    alone = [in_order(engine.loglikelihood([pair]), 1)[0] for pair in asked]
    assert [one.logprob for one in together] == pytest.approx([one.logprob for one in alone], abs=1e-3)


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


def test_with_its_task_named_a_request_finds_all_that_was_learned_for_it(pool):
    first, second = (weights.load(version) for version in pool)
    extensions.attached(second.model).candidates = slice(0, 6)
    inputs = first.tokenizer(TEXTS[0].content["text"], return_tensors="pt")
    with torch.inference_mode():
        assert second.model(**inputs).logits.equal(first.model(**inputs).logits)


@pytest.mark.slow
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
