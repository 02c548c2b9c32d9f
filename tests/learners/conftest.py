"""Fixtures of the learners' tests: the tiny base model, once per process; one thread, as parallel tests share cores."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.learners.symbol_runs import learner
from tests.symbols import symbol_base
from tests.tiny import tiny_base


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
