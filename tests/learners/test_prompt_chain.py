"""Progressive Prompts: later tasks leave earlier ones bit for bit, and a request finds its task by itself.

Measured on the tiny model, forty steps: loss on the first task 6.77 -> 6.01, on the second 7.34 -> 6.61 in a chain and
6.50 by itself. A prompt steers what the model knows; it teaches little that is new.
"""

import pytest
import torch

from learners import weights
from learners.failures import InvalidInput
from learners.parts import extensions
from learners.versions import read_version
from monitors.engines import Prompt, in_order
from monitors.engines.transformers import TransformersEngine
from tests.learners.runs import TEXTS, loss, tensors, text, train
from tests.learners.test_method_matrix import logits

RECIPE = {"learning_rate": 3e-2, "epochs": 20, "batch_size": 1, "prompt_tokens": 5}
CAPITALS = [text(f"Paris and Rome and {place} are cities with bees and dogs.") for place in ("Lima", "Oslo")]
SAID = [one.content["text"] for one in (*TEXTS[:2], *CAPITALS)]


@pytest.fixture(scope="module")
def chain(base, tmp_path_factory):
    """(kind of chain) -> a version of one task, its child of two, and the result of the second."""
    made = {}

    def of(kind):
        if kind not in made:
            folder, options = tmp_path_factory.mktemp("jobs"), RECIPE | {"chain": kind}
            first = train(folder / "one", base, "cpt", "progressive_prompts", TEXTS[:2], **options)[1]
            result, second = train(
                folder / "two", first, "cpt", "progressive_prompts", CAPITALS, version="v2", **options
            )
            made[kind] = first, second, result
        return made[kind]

    return of


def last(version, said):
    loaded = weights.load(version)
    with torch.inference_mode():
        return loaded.model(**loaded.tokenizer(said, return_tensors="pt")).logits


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["progressive", "own"])
def test_after_a_second_task_the_first_is_answered_bit_for_bit_as_before(chain, kind):
    first, second, result = chain(kind)
    assert result.trainable_parameters == 5 * 64
    assert tensors(second)["prompts.0"].equal(tensors(first)["prompts.0"])
    for said in SAID[:2]:
        assert last(second, said).equal(last(first, said))
    assert not last(second, SAID[2]).equal(last(first, SAID[2]))


@pytest.mark.parametrize("kind", ["progressive", "own"])
def test_a_prompt_learns_its_task(base, chain, kind):
    first, second, _ = chain(kind)
    assert loss(first, TEXTS[:2]) < loss(base, TEXTS[:2]) - 0.4
    assert loss(second, CAPITALS) < loss(base, CAPITALS) - 0.4
    assert loss(second, TEXTS[:2]) == pytest.approx(loss(first, TEXTS[:2]), abs=1e-5)


@pytest.mark.parametrize(("kind", "order"), [("progressive", [1, 0]), ("own", [1])])
def test_a_chain_is_the_newest_prompt_first_and_then_the_request(base, chain, kind, order):
    version, plain = chain(kind)[1], weights.load(base)
    prompts = [tensors(version)[f"prompts.{number}"] for number in order]
    ids = plain.tokenizer(SAID[2], return_tensors="pt").input_ids
    with torch.inference_mode():
        whole = torch.cat([*prompts, plain.model.get_input_embeddings()(ids)[0]])[None]
        expected = plain.model(inputs_embeds=whole).logits[:, 5 * len(order) :]
        torch.testing.assert_close(last(version, SAID[2]), expected, atol=1e-5, rtol=1e-5)


def test_a_request_finds_its_task(chain):
    loaded = weights.load(chain("progressive")[1])
    kind = extensions.attached(loaded.model)
    for said, task in zip(SAID, (0, 0, 1, 1), strict=True):
        ids = loaded.tokenizer(said, return_tensors="pt").input_ids
        assert kind.nearest(kind.query(loaded.model, ids, torch.ones_like(ids))).tolist() == [task]


def test_requests_of_several_tasks_are_answered_together_as_each_by_itself(chain):
    loaded = weights.load(chain("progressive")[1])
    engine = TransformersEngine(loaded.model, loaded.tokenizer)
    prompts = [Prompt(text=said[: len(said) * 2 // 3]) for said in SAID]
    limits = [12, 3, 12, 5]  # rows leave the batch one after another
    alone = [in_order(engine.generate([one], [limit]), 1)[0] for one, limit in zip(prompts, limits, strict=True)]
    assert in_order(engine.generate(prompts, limits), 4) == alone
    pairs = [(one, " Anna Lopez is") for one in prompts]
    each = [in_order(engine.loglikelihood([pair]), 1)[0].logprob for pair in pairs]
    assert [one.logprob for one in in_order(engine.loglikelihood(pairs), 4)] == pytest.approx(each, abs=1e-3)


def test_a_chain_taken_off_leaves_its_base_bit_for_bit(base, chain):
    version = chain("progressive")[1]
    assert read_version(version).spec.extension == "prompt_chain"
    loaded = weights.load(version)
    inputs = loaded.tokenizer("What is the capital of France?", return_tensors="pt")
    extensions.attached(loaded.model).detach(loaded.model)
    with torch.inference_mode():
        assert loaded.model(**inputs).logits.equal(logits(base))


def test_a_chain_is_not_continued_by_another_kind(chain, tmp_path):
    with pytest.raises(InvalidInput, match="'prompt_chain', which a method of kind 'k_adapter'"):
        train(tmp_path / "job", chain("progressive")[0], "cpt", "k_adapter", TEXTS, epochs=1)
