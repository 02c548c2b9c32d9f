"""Learning over a version that answers through an extension: it reads as it answers, by trl's fused head as well."""

from functools import cache

import pytest
import torch
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling
from trl.trainer.utils import add_fused_lm_head

from learners import weights
from learners.parts import extensions, pairs
from learners.parts.likelihood import nats_of, negative_log_likelihood
from learners.parts.views import pair_rows, rehearsal_rows
from learners.versions import read_version
from tests.learners.runs import CHATS, PREFERENCES, TEXTS, preference, tensors, train
from tests.learners.test_method_matrix import called
from tests.tiny import KNOWN

PARENTS = {
    "elm": ("cit", CHATS[:2], {}),
    "k_adapter": ("cpt", TEXTS, {}),
    "progressive_prompts": ("cit", CHATS[:2], {"prompt_tokens": 4}),
    "prompt_pool": ("cpt", TEXTS, {"pairs": 4, "chosen": 2}),
    "toolken": ("cit", [called(CHATS[0], "add"), CHATS[1]], {}),
}
OWN_ANSWERS = {"answers": 2, "answer_tokens": 4, "batch_size": 2}


@pytest.fixture(scope="module")
def parent(base, tmp_path_factory):
    """method -> a version that it made, which has an extension."""

    @cache
    def of(method):
        stage, records, settings = PARENTS[method]
        folder = tmp_path_factory.mktemp("parents") / method
        return train(folder, base, stage, method, records, epochs=1, **settings)[1]

    return of


def pairs_of(records, tokenizer):
    rows = [row for one in records for row in pair_rows(one, tokenizer, 200)]
    return DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id)(rows)


@pytest.mark.parametrize("method", PARENTS)
def test_the_fused_head_finds_answers_as_likely_as_the_model_does(parent, method):
    loaded = weights.load(parent(method))
    records = [*PREFERENCES, preference(next(iter(KNOWN)), "Paris and Rome and Lima", "Oslo")]
    batch = pairs_of(records, loaded.tokenizer)
    expected = torch.cat(pairs.answer_nats(loaded.model, batch))
    add_fused_lm_head(extensions.plain(loaded.model))
    labels = batch["input_ids"].masked_fill(batch.pop("completion_mask") == 0, -100)
    said = loaded.model(**batch, labels=labels, fused_lm_head=True)
    assert said.log_probs.shape == (len(labels), labels.shape[1] - 1)
    torch.testing.assert_close(said.log_probs.sum(dim=1), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(("method", "options"), [("dpo", {}), ("kto", {}), ("ppo", OWN_ANSWERS)])
@pytest.mark.parametrize("before", ["elm", "prompt_pool"])
def test_what_is_aligned_over_an_extension_keeps_it(parent, tmp_path, before, method, options):
    settings = {"epochs": 1, "batch_size": 4, **options}
    version = train(tmp_path / "over", parent(before), "ca", method, PREFERENCES, version="v2", **settings)[1]
    assert read_version(version).adapter is not None
    kept = [{k: v for k, v in tensors(one).items() if "lora" not in k} for one in (parent(before), version)]
    assert all(kept[1][name].equal(value) for name, value in kept[0].items())


@pytest.fixture
def routed(parent, monkeypatch):
    """A version with a pool of adapters, and the prompts that its router was asked about."""
    loaded, seen = weights.load(parent("elm")), []
    pool = extensions.attached(loaded.model)
    route = pool.route
    monkeypatch.setattr(pool, "route", lambda model, ids, prompt: seen.append(prompt) or route(model, ids, prompt))
    return loaded, seen


def test_an_answer_that_is_learned_has_no_say_in_what_answers_it(routed):
    loaded, seen = routed
    rows = [row for one in (*CHATS, *TEXTS) for row in rehearsal_rows(one, loaded.tokenizer, 200)]
    batch = DataCollatorForLanguageModeling(pad_token_id=loaded.tokenizer.pad_token_id)(rows)
    for read in (nats_of, negative_log_likelihood):
        read(loaded.model, batch)
    expected = batch["attention_mask"].bool()
    expected[: len(CHATS)] &= batch["labels"][: len(CHATS)] == -100
    assert [one.equal(expected) for one in seen] == [True, True]


def test_both_answers_of_a_pair_are_given_by_what_their_prompt_finds(routed):
    loaded, seen = routed
    batch = pairs_of([preference("What color is snow?", "White", "Red and Green and Black")], loaded.tokenizer)
    pairs.answer_nats(loaded.model, batch)
    (prompts,) = seen
    assert prompts.sum(dim=1).unique().numel() == 1
    assert not (prompts & batch["completion_mask"].bool()).any() and prompts[0].equal(prompts[1])


def test_without_a_word_about_prompts_all_that_is_read_is_one(routed):
    loaded, seen = routed
    inputs = loaded.tokenizer(["What color is snow?"], return_tensors="pt")
    nats_of(loaded.model, {**inputs, "labels": inputs["input_ids"].clone()})
    loaded.model(**inputs)
    assert [bool(one.all()) for one in seen] == [True, True]
