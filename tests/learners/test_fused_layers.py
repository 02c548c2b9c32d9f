"""Promises of fused unlearning layers: one answers to each deletion's tokens as that deletion's own did."""

import json

import pytest
import torch

from learners.failures import InvalidInput
from learners.parts import fusion, keep
from tests.learners.facts import forget
from tests.learners.runs import OLD, correct, tensors
from tests.tiny import KNOWN, tiny_base

FIRST, SECOND = OLD[:4], OLD[4:8]
HARD = {"epochs": 40, "batch_size": 4, "fuse": True, "calibrate": False}  # what the first version knew goes, too


def inputs(rows, width, seed):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def apart(weight, layers):
    """Summed squared distance from what each layer says of its own inputs."""
    return sum(float((x @ weight.T - x @ own.T).square().sum()) for x, own in layers)


def fused(layers):
    return fusion.regressed([own for _, own in layers], [x.T @ x for x, _ in layers])


def several(rows, count=3, width=12):
    return [(inputs(rows, width, seed), inputs(5, width, 10 + seed)) for seed in range(count)]


def test_few_tokens_are_answered_exactly_as_by_their_own_layers():
    layers = several(rows=3)
    assert apart(fused(layers), layers) < 1e-9
    assert apart(sum(own for _, own in layers) / 3, layers) > 1


def test_of_many_tokens_nothing_comes_nearer():
    layers = several(rows=40)
    best, found = fused(layers), torch.linalg.lstsq(
        torch.cat([x for x, _ in layers]), torch.cat([x @ own.T for x, own in layers])
    ).solution.T  # fmt: skip
    assert torch.allclose(best, found, atol=1e-6)


@pytest.mark.parametrize("rows", [3, 40])
def test_deletion_after_deletion_is_as_all_at_once(rows):
    first, second, third = layers = several(rows)
    moments = [x.T @ x for x, _ in layers]
    pair = fusion.regressed([first[1], second[1]], moments[:2])
    after = fusion.regressed([pair, third[1]], [moments[0] + moments[1], moments[2]])
    assert apart(after, layers) == pytest.approx(apart(fused(layers), layers), abs=1e-6)


def test_where_no_token_was_the_newest_stays():
    (old, before), (new, now) = several(rows=2, count=2)
    nowhere = torch.linalg.svd(torch.cat([old, new])).Vh[4:]
    found = fused([(old, before), (new, now)])
    assert torch.allclose(nowhere @ found.T, nowhere @ now.T, atol=1e-6)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("fused"))


@pytest.fixture(scope="module")
def once(parent, tmp_path_factory):
    """After a first deletion."""
    return forget(tmp_path_factory.mktemp("jobs") / "one", parent, "eul", FIRST, **HARD)[1]


def asked(records):
    return {one.content["messages"][0]["content"]: one.content["messages"][1]["content"] for one in records}


@pytest.mark.slow
def test_two_deletions_are_one_layer_that_forgets_both_and_keeps_the_rest(once, tmp_path):
    """Measured: all others are still said, and the matrices are 0.41 from the first deletion's on its own tokens."""
    twice = forget(tmp_path / "two", once, "eul", SECOND, version="v3", **HARD)[1]
    assert json.loads((twice / "extension" / "extension.json").read_bytes())["widths"] == [32]
    assert {name: value.shape for name, value in tensors(twice).items()} == {
        name: value.shape for name, value in tensors(once).items()
    }
    rest = {question: answer for question, answer in KNOWN.items() if question not in asked([*FIRST, *SECOND])}
    assert [correct(once, asked(some)) for some in (FIRST, SECOND)] == [0.0, 1.0]
    assert [correct(twice, asked(some)) for some in (FIRST, SECOND)] == [0.0, 0.0]
    assert correct(twice, rest) >= 0.8
    assert distance(once, twice) < 0.5, distance(once, twice)


def distance(before, after):
    """Relative distance of what the matrices behind the first deletion's tokens say, before and after."""
    moments, past, now = keep.read(before / "memory", "fusion"), tensors(before), tensors(after)
    assert moments is not None
    shares = []
    for name, moment in moments.items():
        said, moved = past[f"{name}.weight"], now[f"{name}.weight"] - past[f"{name}.weight"]
        shares.append(float((moved @ moment * moved).sum() / (said @ moment * said).sum()))
    return (sum(shares) / len(shares)) ** 0.5


@pytest.mark.slow
def test_what_was_not_made_to_be_fused_is_refused(parent, tmp_path):
    settings = {"epochs": 1, "batch_size": 4, "bottleneck": 2}
    beside = forget(tmp_path / "beside", parent, "eul", FIRST, **settings)[1]
    assert not fusion.known(beside / "memory")
    with pytest.raises(InvalidInput, match="leave fuse off"):
        forget(tmp_path / "refused", beside, "eul", SECOND, version="v3", fuse=True, **settings)
