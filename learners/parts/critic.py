"""A critic: how good a half-finished answer is expected to become, and so which of its tokens made it better or worse.

Owns the value head, one linear layer on the policy's own last hidden states, and generalised advantage estimation over
it: Schulman et al. 2016 (arXiv:1506.02438), equations 11 and 16, without discount. The head's error does not move the
policy, where Schulman et al. 2017 (arXiv:1707.06347), equation 9, lets them share one loss. Used by the methods that
learn from the model's own answers, in place of a comparison within groups of answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Critic", "advantages"]

_HEAD = "critic.head"
_RATE, _STEPS = 1e-2, 10  # of Adam, on features of length 1; it begins anew with each set of answers


class Critic:
    """Advantages of all tokens of a set of answers; a call also teaches the head what became of them.

    Args:
        state: holds the head, from zeros, so that a resumed run goes on with it.
        gae_lambda: how far a surprise is credited to the tokens before it.
    """

    def __init__(self, state: dict[str, torch.Tensor], *, gae_lambda: float) -> None:
        self._state, self._lambda = state, gae_lambda

    def __call__(
        self, model: PreTrainedModel, sampled: Mapping[str, torch.Tensor], rewards: Sequence[float]
    ) -> torch.Tensor:
        """Advantages in standard deviations over all tokens (answers x tokens); 0 where there is no token.

        Args:
            sampled: `prompt_ids`, `prompt_mask` (padded on the left), `completion_ids` and `completion_mask`.
            rewards: one for each answer.
        """
        import torch

        mask = sampled["completion_mask"]
        features = _features(model, sampled)
        head = self._state.get(_HEAD, torch.zeros(features.shape[-1])).to(features.device)
        values = features @ head
        worth = torch.tensor(rewards, device=values.device, dtype=values.dtype)
        found = advantages(values, mask, worth, self._lambda)
        self._state[_HEAD] = _learned(head, features[mask.bool()], (found + values)[mask.bool()])
        return _standardised(found, mask)


def advantages(values: torch.Tensor, mask: torch.Tensor, rewards: torch.Tensor, gae_lambda: float) -> torch.Tensor:
    """Generalised advantage estimation: A_k = d_k + lambda A_{k+1}, where d_k = r_k + V_{k+1} - V_k.

    Args:
        values: V_k, what is expected before token k is drawn (answers x tokens).
        mask: 1 for the tokens of an answer, 0 for the padding behind them.
        rewards: of each answer as a whole; its last token earns it, and nothing is expected behind that.

    Returns:
        A_k (answers x tokens), 0 in the padding.
    """
    import torch

    found = torch.zeros_like(values)
    after, expected = torch.zeros_like(rewards), torch.zeros_like(rewards)
    ends = mask - torch.nn.functional.pad(mask[:, 1:], (0, 1))
    for token in reversed(range(values.shape[1])):
        here = mask[:, token]
        surprise = ends[:, token] * rewards + expected - values[:, token]
        after = here * (surprise + gae_lambda * after)
        expected = here * values[:, token]
        found[:, token] = after
    return found


def _features(model: PreTrainedModel, sampled: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The hidden state that each answer token is drawn from, of length 1, with a 1 behind it for the bias."""
    import torch

    from learners.parts.extensions import plain

    ids, mask = (
        torch.cat([sampled[f"prompt_{name}"], sampled[f"completion_{name}"]], dim=1) for name in ("ids", "mask")
    )
    decoder: Any = plain(model).get_decoder()
    with torch.no_grad():
        states: torch.Tensor = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    drawn_from = states[:, sampled["prompt_ids"].shape[1] - 1 : -1].float()
    unit = torch.nn.functional.normalize(drawn_from, dim=-1)
    return torch.nn.functional.pad(unit, (0, 1), value=1.0)


def _learned(head: torch.Tensor, features: torch.Tensor, returns: torch.Tensor) -> torch.Tensor:
    """The head after some steps towards the returns, by their mean squared error."""
    import torch

    weight = head.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([weight], lr=_RATE)
    with torch.enable_grad():
        for _ in range(_STEPS):
            optimizer.zero_grad()
            (features @ weight - returns).square().mean().backward()
            optimizer.step()
    return weight.detach().cpu()


def _standardised(found: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    own = found[mask.bool()]
    return (found - own.mean()) / (own.std(correction=0) + 1e-8) * mask
