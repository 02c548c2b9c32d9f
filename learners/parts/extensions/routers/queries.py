"""What can be known of a prompt before it is answered: one vector a request, without gradient.

Owns three readings of a prompt by a model as it stands: the largest of its embeddings, the mean of its last hidden
states, and the last of them. Called by routers; rows may be padded on either side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["largest_embedding", "last_state", "mean_state"]


def largest_embedding(model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
    """The largest value of every dimension over the embeddings of a prompt's tokens; costs no forward pass.

    Args:
        model: a plain model.
        ids: (rows, tokens).
        prompt: of the same shape, true for the tokens that are read.
    """
    with torch.no_grad():
        embedded: Tensor = model.get_input_embeddings()(ids)
        return embedded.float().masked_fill(~prompt.bool()[..., None], float("-inf")).amax(dim=1)


def mean_state(model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
    """The mean of the last hidden states of a prompt; arguments as for `largest_embedding`."""
    weights = prompt.unsqueeze(-1).float()
    return (_states(model, ids, prompt) * weights).sum(dim=1) / weights.sum(dim=1)


def last_state(model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
    """The last hidden state of a prompt's last token; arguments as for `largest_embedding`."""
    places = torch.arange(ids.shape[1], device=ids.device)
    last = (prompt.long() * places).argmax(dim=1)
    return _states(model, ids, prompt)[torch.arange(len(ids), device=ids.device), last]


def _states(model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
    decoder: Any = model.get_decoder()
    training = model.training
    if training:
        model.eval()
    with torch.no_grad():
        found: Tensor = decoder(input_ids=ids, attention_mask=prompt.long(), use_cache=False).last_hidden_state
    if training:
        model.train()
    return found.float()
