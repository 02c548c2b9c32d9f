"""Promises of terms beside the stage's loss: they are learned with it, and never held in memory together with it."""

import gc

import pytest
import torch

from learners.loop import Extended
from learners.methods import replay
from learners.parts.penalties import RehearsalLikelihood
from tests.learners.runs import CHATS, tensors, train

RECIPE = {"epochs": 2, "batch_size": 2, "replay_share": 0.5}


@pytest.mark.slow
def test_terms_and_stage_teach_what_their_sum_does(base, tmp_path, monkeypatch):
    apart, version = train(tmp_path / "apart", base, "cit", "replay", CHATS, **RECIPE)
    monkeypatch.setattr(Extended, "_taken", lambda self, term: term)
    summed, expected = train(tmp_path / "summed", base, "cit", "replay", CHATS, **RECIPE)
    assert (apart.first_loss, apart.last_loss) == pytest.approx((summed.first_loss, summed.last_loss), abs=1e-4)
    ours, theirs = tensors(version), tensors(expected)
    assert all(torch.allclose(ours[name], value, atol=1e-4) for name, value in theirs.items())


@pytest.mark.slow
@pytest.mark.parametrize("held", [False, True])
def test_nothing_that_a_term_read_is_held_while_the_stage_reads(base, tmp_path, monkeypatch, held):
    """Where it were, its graph would be found."""
    if held:
        monkeypatch.setattr(Extended, "_taken", lambda self, term: term)
    found, compose = [], replay.compose

    def counted(run):
        weight = next(one for one in run.model.parameters() if one.requires_grad)

        def stage(model, step):
            graphs = [one for one in gc.get_objects() if torch.is_tensor(one) and one.grad_fn is not None]
            found.append((len(graphs), weight.grad is not None))
            return RehearsalLikelihood(1.0)(model, type(step)({}, step.new, step.moment))

        return type(recipe := compose(run))(**{**vars(recipe), "stage_loss": stage})

    monkeypatch.setattr(replay, "compose", counted)
    train(tmp_path / "job", base, "cit", "replay", CHATS, **{**RECIPE, "epochs": 1})
    assert found and all((graphs > 0, taught) == (held, not held) for graphs, taught in found)
