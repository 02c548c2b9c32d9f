"""How likely a model finds rows: the negative log-likelihood of the tokens that they learn, in nats.

Owns how rows are read for it, by every loss that is made of it: of a stage, of what is rehearsed, of what is forgotten.
Knows no stage and no method; whole answers of pairs are read by `learners.parts.pairs`. Predictions are computed in
float32, and only at places where some row has a label: a fifth of a small model's work is in them, and a chat row
learns its answer alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = [
    "IGNORED",
    "Said",
    "asked",
    "by_length",
    "learned",
    "nats_of",
    "negative_log_likelihood",
    "said",
    "tell_prompts",
]

_ROWS_AT_ONCE = 4
"""Rows of answers that a process reads in one forward pass."""

IGNORED = -100
"""The label of a token that is read and not learned."""


def negative_log_likelihood(model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Mean negative log-likelihood of the labelled tokens, in nats.

    Args:
        rows: input_ids, labels and attention_mask (each rows x tokens).
    """
    from torch.nn.functional import cross_entropy

    labels = rows["labels"][:, 1:]
    places = learned(rows).any(dim=0).nonzero().flatten()
    logits: torch.Tensor = model(**_read(model, rows), logits_to_keep=places, use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1).float(), labels[:, places].flatten())


def _read(model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the model gets of rows; of packed ones, which have no mask, each sequence is a prompt to an extension."""
    if "attention_mask" in rows:
        tell_prompts(model, asked(rows["labels"], rows["attention_mask"]))
    return {name: value for name, value in rows.items() if name != "labels"}


def asked(labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The prompt of each row: its tokens before the first that is learned, or all of them where there are none.

    Args:
        labels, mask: rows x tokens.

    Returns:
        True for these tokens (rows x tokens).
    """
    import torch

    before = mask.bool() & ((labels != IGNORED).cumsum(dim=1) == 0)
    return torch.where(before.any(dim=1, keepdim=True), before, mask.bool())


def tell_prompts(model: PreTrainedModel, prompts: torch.Tensor) -> None:
    """Tell an extension that chooses by prompts which tokens of the model's next pass they are (rows x tokens)."""
    from learners.parts.extensions import attached
    from learners.together import unwrapped

    extension = attached(unwrapped(model))
    if extension is not None and extension.routes:
        extension.hear(prompts)


class Said(NamedTuple):
    """What a model makes of rows, of each token but the first.

    Attributes:
        nats: negative log-likelihood of the tokens that are labelled, else 0 (rows x tokens - 1).
        counted: which are labelled (rows x tokens - 1).
        logits: float32, at the places where some row has a label (rows x places x vocabulary).
        places: those places.
    """

    nats: torch.Tensor
    counted: torch.Tensor
    logits: torch.Tensor
    places: torch.Tensor


def said(model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> Said:
    """Read rows: input_ids, labels and attention_mask (each rows x tokens)."""
    from torch.nn.functional import cross_entropy

    labels, counted = rows["labels"][:, 1:], learned(rows)
    places = counted.any(dim=0).nonzero().flatten()
    logits: torch.Tensor = model(**_read(model, rows), logits_to_keep=places, use_cache=False).logits.float()
    targets = labels[:, places]
    # one row after another: along the middle of a tensor the same numbers take four times as long
    nats = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    return Said(nats.new_zeros(labels.shape).index_copy(1, places, nats), counted, logits, places)


def by_length(
    read: Callable[[Mapping[str, torch.Tensor]], torch.Tensor], rows: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """What `read` makes of rows, of which it gets a few of like length at a time.

    The predictions of a whole batch over the vocabulary are gigabytes, most of them padding where one row is long.

    Args:
        read: see `learners.together.by_rows`; it gets rows without the columns that are padding in all of them.
        rows: with attention_mask (each rows x tokens).
    """
    import torch

    from learners import ranks
    from learners.together import by_rows

    order = rows["attention_mask"].sum(dim=1).argsort(stable=True)
    groups = order.split(_ROWS_AT_ONCE * ranks.count())
    told = [by_rows(read, _without_padding(rows, group)) for group in groups]
    return torch.cat(told)[order.argsort()]


def _without_padding(rows: Mapping[str, torch.Tensor], group: torch.Tensor) -> dict[str, torch.Tensor]:
    """Some of the rows, without the columns that are padding in all of them."""
    used = rows["attention_mask"][group].any(dim=0)
    return {name: value[group][:, used] for name, value in rows.items()}


def nats_of(model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """`Said.nats` of rows, which several processes read together (rows x tokens - 1)."""
    from learners.together import by_rows

    return by_rows(lambda part: said(model, part).nats, rows)


def learned(rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Which tokens but the first are labelled (rows x tokens - 1)."""
    return rows["labels"][:, 1:] != IGNORED
