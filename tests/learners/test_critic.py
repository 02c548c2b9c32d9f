"""Promises of the critic: advantages by the papers' formula, a head that learns, and a policy that learns from it."""

import pytest
import torch

from learners.parts.critic import Critic, advantages
from tests.learners.runs import PREFERENCES, same, train
from tests.learners.test_alignment_methods import AT_LEAST_TWO_WORDS, metrics

CRITIC = {"advantage": "critic", "answers": 8, "answer_tokens": 6, "rewards": AT_LEAST_TWO_WORDS}
MASK = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])


def test_advantages_are_those_of_the_formula():
    """Worked out by hand: d = (0.5 - 0.2, 0.1 - 0.5, 1 - 0.1) and (2 - 0.4), lambda 1/2."""
    values = torch.tensor([[0.2, 0.5, 0.1, 9.0], [0.4, 9.0, 9.0, 9.0]])
    found = advantages(values, MASK, torch.tensor([1.0, 2.0]), 0.5)
    assert torch.allclose(found, torch.tensor([[0.325, 0.05, 0.9, 0.0], [1.6, 0.0, 0.0, 0.0]]))


def test_without_a_head_and_with_lambda_one_every_token_earns_the_reward():
    found = advantages(torch.zeros(2, 4), MASK, torch.tensor([1.0, 2.0]), 1.0)
    assert torch.equal(found, torch.tensor([[1.0, 1.0, 1.0, 0.0], [2.0, 0.0, 0.0, 0.0]]))


class Told:
    """A policy whose hidden states tell at once what an answer will be worth."""

    def get_decoder(self):
        return lambda input_ids, **_: type("Out", (), {"last_hidden_state": torch.eye(2)[input_ids]})


def test_the_head_learns_what_answers_become_and_then_nothing_surprises_it(monkeypatch):
    """Measured: surprises of 0.475 on average in the first set of answers, 0.004 in the sixtieth."""
    monkeypatch.setattr("learners.parts.extensions.plain", lambda model: model)
    surprises = []
    keep = advantages
    monkeypatch.setattr(
        "learners.parts.critic.advantages", lambda *given: surprises.append(keep(*given)) or surprises[-1]
    )
    answers = torch.tensor([[0, 0, 0], [1, 1, 1]])
    asked = {"prompt_ids": answers[:, :1], "prompt_mask": torch.ones(2, 1, dtype=torch.long)}
    sampled = {**asked, "completion_ids": answers, "completion_mask": torch.ones_like(answers)}
    critic = Critic({}, gae_lambda=0.95)
    found = [critic(Told(), sampled, [1.0, 0.0]) for _ in range(60)][-1]
    assert [float(found.mean()), float(found.std(correction=0))] == pytest.approx([0, 1], abs=1e-3)
    assert float(surprises[-1].abs().mean()) < 0.02 < 0.4 < float(surprises[0].abs().mean())


@pytest.mark.slow
def test_a_rewarded_policy_learns_what_is_rewarded_with_a_critic(base, tmp_path):
    """Measured: a reward from 0.52 to 1.00, 0.84 nats a token from the parent on average and 1.58 at the end."""
    train(tmp_path / "ppo", base, "ca", "ppo", PREFERENCES, learning_rate=1e-3, epochs=20, batch_size=4, **CRITIC)
    lines = metrics(tmp_path / "ppo")
    assert lines[0]["reward"] < 0.6 and lines[-1]["reward"] > lines[0]["reward"] + 0.3
    assert sum(line["kl_nats"] for line in lines) / len(lines) < 1


@pytest.mark.slow
def test_answers_are_weighed_with_a_critic_as_without(base, tmp_path):
    settings = {**CRITIC, "learning_rate": 1e-3, "epochs": 2, "batch_size": 4}
    plain = train(tmp_path / "plain", base, "ca", "ppo", PREFERENCES, **settings)[1]
    equal = {"lowest": 1, "highest": 1, "imitate_weight": 0}
    assert same(plain, train(tmp_path / "equal", base, "ca", "cppo", PREFERENCES, **settings, **equal)[1])
    assert not same(plain, train(tmp_path / "own", base, "ca", "cppo", PREFERENCES, **settings)[1])
