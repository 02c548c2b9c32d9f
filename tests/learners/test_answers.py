"""Promises of answers read on a processor: trl's numbers and gradients, without the places that no answer has."""

import copy

import pytest
import torch
from trl.trainer.utils import add_fused_lm_head

from learners.answers import Answering
from tests.learners.test_pairs_read import UNLIKE, batch_of

FIELDS = ("log_probs", "entropy", "mean_logits", "is_top1")


@pytest.fixture
def asked(tokenizer):
    batch = batch_of(UNLIKE, tokenizer)
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "labels": labels}


@pytest.fixture
def trls(model):
    """The same weights with trl's own head."""
    own = copy.deepcopy(model)
    add_fused_lm_head(own, outputs=FIELDS)
    return own


def gradients(model, said):
    (said.log_probs.sum() ** 2).backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


def test_what_is_said_of_answers_is_what_trl_says(model, trls, asked):
    ours, theirs = (one(**asked, use_cache=False, fused_lm_head=True) for one in (Answering(model), trls))
    for name in FIELDS:
        found, wanted = getattr(ours, name), getattr(theirs, name)
        assert found.dtype == wanted.dtype and torch.allclose(found.float(), wanted.float(), atol=2e-5), name
    assert ours.log_probs[asked["labels"][:, 1:] == -100].abs().max() == 0 and ours.log_probs.abs().max() > 1


def test_its_gradients_are_those_of_trl(model, trls, asked):
    own = copy.deepcopy(model)
    ours = gradients(own, Answering(own)(**asked, fused_lm_head=True))
    theirs = gradients(trls, trls(**asked, fused_lm_head=True))
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-3) for name in theirs)
    assert max(float(one.abs().max()) for one in theirs.values()) > 1


def test_predictions_are_made_at_answers_alone(model, asked):
    made = []
    model.lm_head.register_forward_hook(lambda _, __, logits: made.append(logits.shape[:2].numel()))
    Answering(model)(**asked, fused_lm_head=True)
    assert sum(made) < 0.75 * asked["labels"].numel()
