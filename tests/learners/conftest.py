"""Fixtures of the learners' tests: the tiny base model, once per process; one thread, as parallel tests share cores."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.learners.symbol_runs import learner
from tests.symbols import symbol_base
from tests.tiny import tiny_base

TRAIN_ALL_THE_TIME = {
    "test_alignment_methods.py", "test_alignment_revision.py", "test_cit_data_methods.py", "test_cit_methods.py",
    "test_cpt_cards.py", "test_cpt_claims.py", "test_cpt_methods.py", "test_experts_of_texts.py",
    "test_forgetting_methods.py", "test_hearsay.py", "test_left_to_the_base.py", "test_over_extensions.py",
    "test_plugged_memory.py", "test_pool_methods.py", "test_pool_routers.py", "test_rationales.py", "test_recycling.py",
    "test_task_instructions.py", "test_tool_methods.py", "test_trainer_settings.py", "test_weighed_answers.py",
}  # fmt: skip
"""Files in which nearly every test trains: quick one by one, minutes together, like the matrix of all methods."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """They are slow, before anybody asks which tests are."""
    for item in items:
        if item.path.parent.name == "learners" and item.path.name in TRAIN_ALL_THE_TIME:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """Version `v0` of the tiny model; read-only. Versions trained by tests go beside it."""
    return tiny_base(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="session")
def symbols(tmp_path_factory):
    """The model that copies symbols; read-only."""
    return symbol_base(tmp_path_factory.mktemp("symbols"))


@pytest.fixture(scope="session")
def learn(symbols, tmp_path_factory):
    """(method, number of a task of symbols, parent, more records, settings) -> the version that learned it."""
    return learner(tmp_path_factory.mktemp("learned"), symbols)


@pytest.fixture(scope="session")
def tokenizer():
    """Of the tiny model; read-only."""
    from learners.weights import read_tokenizer
    from tests.tiny import tiny_weights

    return read_tokenizer(tiny_weights() / "weights")


@pytest.fixture
def model():
    """The tiny model's weights, fresh for each test."""
    from learners.weights import read_weights
    from tests.tiny import tiny_weights

    return read_weights(tiny_weights() / "weights")
