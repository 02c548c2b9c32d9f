"""Pools of adapters leave to the model below what it knew before: no slot answers it, and its logits are the base's.

Measured with 64 remembered chats of the copying task: of 64 new ones sapt leaves all to the base, slm 0.97, elm 0.80;
of the tasks that were learned none. Without remembered rows, as in `test_pool_methods`, a slot answers everything.
"""

import pytest
import torch

from learners import weights
from learners.parts import extensions
from learners.parts.extensions.adapter_pool import prompt_tokens
from learners.parts.extensions.k_adapter import Kind as KAdapter
from learners.parts.extensions.routers import router_of
from learners.parts.views import rehearsal_rows
from tests.learners.symbol_runs import learner, loss
from tests.symbols import OWN, SYMBOLS, symbol_base, task

GENERAL = task(0, 64, symbols=SYMBOLS, seed=9)
LEARNED = task(1, 64, symbols=OWN[1], seed=9)


@pytest.fixture(scope="module")
def remembering(tmp_path_factory):
    """The model that copies symbols, which remembers some of what it copied."""
    return symbol_base(tmp_path_factory.mktemp("remembering"), remembered=64)


@pytest.fixture(scope="module", params=["sapt", "slm"])
def version(request, remembering, tmp_path_factory):
    """Task 1, learned over it."""
    return learner(tmp_path_factory.mktemp("learned"), remembering)(request.param, 1, memory_records=128)


def logits(version, records):
    loaded = weights.load(version, verify=False)
    rows = [row for one in records for row in rehearsal_rows(one, loaded.tokenizer, 64)]
    ids, labels = (torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels"))
    with torch.inference_mode():
        return loaded.model(input_ids=ids, labels=labels).logits


@pytest.mark.slow
def test_a_request_like_what_the_base_knew_is_answered_by_it_bit_for_bit(version, remembering):
    same = (logits(version, GENERAL) == logits(remembering, GENERAL)).flatten(1).all(dim=1)
    assert same.float().mean() >= 0.9


@pytest.mark.slow
def test_a_request_of_a_learned_task_is_answered_by_its_slots(version):
    loaded = weights.load(version, verify=False)
    rows = [row for one in LEARNED for row in rehearsal_rows(one, loaded.tokenizer, 64)]
    ids, labels = (torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels"))
    with torch.inference_mode():
        found = extensions.attached(loaded.model).route(loaded.model, ids, prompt_tokens(labels, torch.ones_like(ids)))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(64))
    assert loss(version, 1) < 0.05


OLDER = {"attention": {"hidden": 10, "temperature": 1.0}, "grouped_keys": {"groups": 4, "chosen": 2}}


@pytest.mark.parametrize("kind", OLDER)
def test_a_router_that_was_saved_before_it_could_leave_anything_leaves_nothing(kind):
    router = router_of(16, [2, 3], {"kind": kind, **OLDER[kind]}).eval()
    assert not any("below" in name for name in router.state_dict())
    with torch.no_grad():
        for keys in router.keys:
            keys.normal_(generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(router.weights(torch.ones(1, 16)).sum(), torch.tensor(1.0))


def test_an_extension_that_is_hooked_onto_a_model_which_answers_does_not_learn(model):
    kind = KAdapter(model.config, layers=[1], bottleneck=4)
    assert kind.training and not model.training
    kind.attach(model)
    assert not kind.training


def test_the_key_of_the_model_below_decides_only_where_nothing_learns():
    router = router_of(16, [1], {"kind": "grouped_keys", "groups": 4, "chosen": 1, "below": 1})
    query = torch.ones(1, 16)
    with torch.no_grad():
        router.keys[0].copy_(torch.arange(16.0))
        router.below[0].fill_(1)
    assert router.train().weights(query).sum() == 1
    assert router.eval().weights(query).sum() == 0
