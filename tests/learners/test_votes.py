"""Which expert answers a request: the nearest stored prompt, a vote of some of them, or all that have votes."""

import pytest
import torch

from learners import weights
from learners.parts import extensions
from learners.parts.extensions.routers.nearest import Chooser
from tests.learners.pool_runs import QUICK, said
from tests.learners.runs import CHATS, train

BELOW, FIRST, SECOND = torch.tensor([[9.0, 9.0]]), torch.tensor([[0.1, 0.0]]), torch.tensor([[0.2, 0.0], [0.3, 0.0]])
REQUEST = torch.zeros(1, 2)  # nearest to the example of the first slot, then to both of the second


def library(**options):
    """Of two slots and the model below."""
    found = Chooser(2, [1, 1], examples=[], **options)
    found.add(FIRST, BELOW)
    found.add(SECOND, BELOW)
    return found


@pytest.mark.parametrize(("options", "expected"), [
    ({}, [1, 0]), ({"votes": 3}, [0, 1]), ({"votes": 2}, [1, 0]),  # as many votes: the nearer one
    ({"votes": 3, "merged": True}, [1 / 3, 2 / 3]),
    ({"votes": 99, "merged": True}, [1 / 4, 2 / 4]),  # the rest is the model's below
])  # fmt: skip
def test_the_nearest_examples_vote_and_their_shares_are_weights(options, expected):
    assert library(**options).weights(REQUEST)[0].tolist() == pytest.approx(expected)


def test_what_has_most_votes_of_the_model_below_is_left_to_it():
    router = library(votes=2)
    router.add(FIRST, torch.full((3, 2), 0.01))
    assert router.weights(REQUEST)[0].tolist() == [0, 0, 0]


def test_votes_are_equal_where_slots_before_one_cannot_be_chosen():
    assert library(votes=3).weights(REQUEST, first=1).tolist() == [[1]]


@pytest.mark.slow
def test_merged_experts_answer_together_and_the_version_keeps_that_word(base, tmp_path):
    first = train(tmp_path / "one", base, "cit", "elm", CHATS[:2], **QUICK)[1]
    options = {**QUICK, "votes": 99, "merge": True, "others": 0}
    version = train(tmp_path / "two", first, "cit", "elm", CHATS[2:], version="v2", **options)[1]
    loaded = weights.load(version)
    pool, ids = extensions.attached(loaded.model), torch.tensor([[5, 6, 7]])
    assert pool.route(loaded.model, ids, torch.ones_like(ids)).tolist() == [[0.5, 0.5]]
    together = said(loaded, "Who is it?")
    pool.router.votes = 1
    assert not together.equal(said(loaded, "Who is it?"))
