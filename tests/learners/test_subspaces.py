"""Orthogonal subspace fine-tuning: what stays, what learns, and that it takes the steps of peft's OSF.

Measured on the model that copies symbols, tasks of twenty symbols each, 120 steps at 1e-3 in full weights (loss on task
1 just after it, after task 2; loss on task 2): plain training 0.002, 4.03; 0.003, osf 0.002, 0.41; 0.24.
"""

import copy

import pytest
import torch
from peft import OSFConfig, get_peft_model
from torch import nn

from learners import weights
from learners.methods import settings_for
from learners.parts import subspace
from learners.parts.linears import linears
from tests.learners.symbol_runs import loss

FULL = {"learning_rate": 1e-3}
SIDES = [(24, 10), (10, 24), (12, 12)]


def steps(model, factors, behind, count=12):
    """Adam on a fixed regression; `behind` is done behind every step."""
    draw = torch.Generator().manual_seed(1)
    inputs, wanted = (torch.randn(32, side, generator=draw) for side in (model.inputs, model.outputs))
    optimizer = torch.optim.AdamW(factors, lr=1e-2, weight_decay=0.0)
    for _ in range(count):
        (model(inputs) - wanted).square().mean().backward()
        nn.utils.clip_grad_norm_(factors, 0.1)
        optimizer.step()
        optimizer.zero_grad()
        behind()


class One(nn.Module):
    """One linear layer."""

    def __init__(self, outputs, inputs):
        super().__init__()
        torch.manual_seed(0)
        self.inputs, self.outputs, self.only = inputs, outputs, nn.Linear(inputs, outputs)

    def forward(self, inputs):
        return self.only(inputs)


def projected(layer, kept):
    """Take what lies along the kept directions out of the factors of a layer of peft."""
    factors = layer.osf_svd_params["default"]
    left, _, right = torch.linalg.svd(layer.base_layer.weight, full_matrices=False)
    with torch.no_grad():
        factors["U_low"].sub_(left[:, :kept] @ (left[:, :kept].T @ factors["U_low"]))
        factors["V_low"].sub_((factors["V_low"] @ right[:kept].T) @ right[:kept])


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_split_layer_takes_the_steps_of_pefts_osf_with_factors_projected_behind_each(sides, share):
    model = One(*sides)
    theirs: nn.Module = get_peft_model(copy.deepcopy(model), OSFConfig(effective_rank=share, target_modules=["only"]))
    layer = theirs.base_model.model.only
    steps(theirs, list(layer.osf_svd_params.parameters()), lambda: projected(layer, int(min(sides) * share)))
    ours = copy.deepcopy(model)
    ours.only = subspace.Split(ours.only.requires_grad_(False), share)
    steps(ours, [ours.only.left, ours.only.scale, ours.only.right], lambda: None)
    merged = theirs.merge_and_unload().only.weight
    torch.testing.assert_close(ours.only.plain().weight, merged, atol=1e-5, rtol=0)
    assert (merged - model.only.weight).abs().max() > 1e-2


def test_a_split_model_answers_as_the_whole_one_and_becomes_it_again(model):
    ids, before = torch.arange(20, 40)[None], {name: layer.weight.clone() for name, layer in linears(model).items()}
    with torch.inference_mode():
        expected = model(input_ids=ids).logits
    split = subspace.split(model.requires_grad_(False), 0.25)
    assert {name.rpartition(".")[2] for name, weight in split.named_parameters() if weight.requires_grad} == {
        "left", "scale", "right",
    }  # fmt: skip
    with torch.inference_mode():
        torch.testing.assert_close(split(input_ids=ids).logits, expected, atol=1e-4, rtol=1e-4)
    for name, layer in linears(subspace.joined(split)).items():
        torch.testing.assert_close(layer.weight, before[name], atol=1e-5, rtol=0)


def test_a_layer_of_one_direction_keeps_it():
    layer = subspace.Split(nn.Linear(5, 1), 0.5)
    assert (layer.kept_scale.numel(), layer.scale.numel()) == (1, 0)


@pytest.fixture(scope="module")
def whole(learn):
    """Task 1 in full weights."""
    return learn("finetune", 1, full_weights=True, **FULL)


def kept_directions(before, after, share=0.5):
    """Largest change of what the kept singular directions of the matrices before read and write."""
    ours, theirs = (linears(weights.load(one, verify=False).model) for one in (before, after))
    worst = 0.0
    for name, layer in ours.items():
        u, _, v = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
        rank, change = int(min(layer.weight.shape) * share), (theirs[name].weight - layer.weight).detach()
        worst = max(worst, float((u[:, :rank].T @ change).abs().max()), float((change @ v[:rank].T).abs().max()))
    return worst


@pytest.mark.slow
def test_the_large_singular_directions_stay_as_they_are_and_less_is_forgotten(learn, whole):
    later = learn("osf", 2, whole, **FULL)
    plain = learn("finetune", 2, whole, full_weights=True, **FULL)
    assert kept_directions(whole, later) < 1e-4
    assert kept_directions(whole, plain) > 1e-2
    before = loss(whole, 1)
    assert loss(later, 1) - before < 0.5 * (loss(plain, 1) - before)
    assert loss(later, 2) < 0.3


@pytest.mark.slow
def test_without_the_projection_of_its_factors_a_version_leaves_the_subspace(learn, whole, monkeypatch):
    monkeypatch.setattr(subspace, "_outside", lambda columns, kept: columns)
    assert kept_directions(whole, learn("osf", 2, whole, epochs=1, **FULL)) > 1e-3


def test_the_rate_is_that_of_whole_matrices_unless_one_is_given():
    assert settings_for("osf", "cit", {}).learning_rate == 2e-5
    assert settings_for("osf", "cit", FULL).learning_rate == 1e-3
