"""How likely a model finds rows: the negative log-likelihood of the tokens that they learn, in nats.

Owns how rows are read for it, by every loss that is made of it: of a stage, of what is rehearsed, of what is forgotten.
Knows no stage and no method; whole answers of pairs are read by `learners.parts.pairs`. Predictions are computed in
float32, and only at places where some row has a label: a fifth of a small model's work is in them, and a chat row
learns its answer alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from learners.parts.packing import Packed, packed
from learners.parts.rows import asked, learned

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = [
    "by_length",
    "nats",
    "nats_of",
    "negative_log_likelihood",
    "predicted",
    "spread",
    "tell_prompts",
]

_ROWS_AT_ONCE = 4
"""Rows of answers that a process reads in one forward pass."""


def negative_log_likelihood(model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Mean negative log-likelihood of the labelled tokens, in nats.

    Args:
        rows: input_ids, labels and attention_mask (each rows x tokens), filled up at the end.
    """
    from torch.nn.functional import cross_entropy

    read = _read(model, rows)
    return cross_entropy(read.logits.flatten(0, 1).float(), read.targets.flatten())


class _Read(NamedTuple):
    """What a model predicts of rows, as it read them.

    Attributes:
        fewer: how they were packed; None where they were read as they are.
        places: after which tokens some row has a label, in the layout that was read.
        logits: there (sequences x places x vocabulary).
        targets: the labels (sequences x places).
    """

    fewer: Packed | None
    places: torch.Tensor
    logits: torch.Tensor
    targets: torch.Tensor


def _read(model: PreTrainedModel, rows: Mapping[str, torch.Tensor], by: Callable[..., Any] | None = None) -> _Read:
    fewer = packed(model, rows)
    if fewer:
        rows = fewer.batch
    elif "attention_mask" in rows:
        tell_prompts(model, asked(rows["labels"], rows["attention_mask"]))
    places = learned(rows).any(dim=0).nonzero().flatten()
    inputs = {name: value for name, value in rows.items() if name != "labels"}
    logits: torch.Tensor = (by or model)(**inputs, logits_to_keep=places, use_cache=False).logits
    return _Read(fewer, places, logits, rows["labels"][:, 1:][:, places])


def tell_prompts(model: PreTrainedModel, prompts: torch.Tensor) -> None:
    """Tell an extension that chooses by prompts which tokens of the model's next pass they are (rows x tokens)."""
    from learners.parts.extensions import attached
    from learners.together import unwrapped

    extension = attached(unwrapped(model))
    if extension is not None and extension.routes:
        extension.hear(prompts)


def nats(
    model: PreTrainedModel, rows: Mapping[str, torch.Tensor], *, by: Callable[..., Any] | None = None
) -> torch.Tensor:
    """Negative log-likelihood of the labelled tokens, 0 of the others, of each token but the first.

    Args:
        rows: input_ids, labels and attention_mask (each rows x tokens), filled up at the end.
        by: see `predicted`.

    Returns:
        In nats (rows x tokens - 1).
    """
    from torch.nn.functional import cross_entropy, pad

    read = _read(model, rows, by)
    # one row after another: along the middle of a tensor the same numbers take four times as long
    found = cross_entropy(read.logits.flatten(0, 1).float(), read.targets.flatten(), reduction="none")
    tokens = (rows if read.fewer is None else read.fewer.batch)["labels"].shape
    whole = found.new_zeros(tokens[0], tokens[1] - 1).index_copy(1, read.places, found.view_as(read.targets))
    return whole if read.fewer is None else pad(whole, (1, 0)).flatten()[read.fewer.places[:, 1:]]


def predicted(
    model: PreTrainedModel, rows: Mapping[str, torch.Tensor], *, by: Callable[..., Any] | None = None
) -> torch.Tensor:
    """What a model predicts where the labelled tokens of rows stand, in the order of `learned(rows)`.

    Args:
        rows: input_ids, labels and attention_mask (each rows x tokens), filled up at the end.
        by: in the model's place, what reads as it does with other weights: inputs of a forward pass -> outputs.

    Returns:
        Logits, float32 (labelled tokens x vocabulary).
    """
    import torch

    read, counted = _read(model, rows, by), learned(rows)
    if read.fewer is None:
        return read.logits[counted[:, read.places]].float()
    stand, width = read.fewer.places[:, 1:][counted], read.fewer.batch["labels"].shape[1]
    return read.logits[stand // width, torch.searchsorted(read.places, stand % width - 1)].float()


def spread(told: torch.Tensor, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Numbers of the labelled tokens where these stand in rows, 0 elsewhere (rows x tokens - 1 x numbers).

    Args:
        told: in the order of `learned(rows)` (labelled tokens x numbers).
    """
    counted = learned(rows)
    return told.new_zeros(*counted.shape, told.shape[-1]).masked_scatter(counted.unsqueeze(-1), told)


def by_length(
    read: Callable[[Mapping[str, torch.Tensor]], torch.Tensor], rows: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """What `read` makes of rows, of which it gets a few of like length at a time, answers to one prompt together.

    The predictions of a whole batch over the vocabulary are gigabytes, most of them padding where one row is long.

    Args:
        read: see `learners.together.by_rows`; it gets rows without the columns that are padding in all of them.
        rows: with labels and attention_mask (each rows x tokens).
    """
    import torch

    from learners import ranks
    from learners.together import by_rows

    order = _by_length(rows)
    groups = order.split(_ROWS_AT_ONCE * ranks.count())
    told = [by_rows(read, _without_padding(rows, group)) for group in groups]
    return torch.cat(told)[order.argsort()]


def _by_length(rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Numbers of the rows, by the length of the longest answer to their prompt and then by prompt."""
    import torch

    lengths = rows["attention_mask"].sum(dim=1).tolist()
    said = asked(rows["labels"], rows["attention_mask"]).sum(dim=1).tolist()
    prompts = [tuple(ids[:count]) for ids, count in zip(rows["input_ids"].tolist(), said, strict=True)]
    longest = dict.fromkeys(prompts, 0)
    for prompt, length in zip(prompts, lengths, strict=True):
        longest[prompt] = max(longest[prompt], length)
    order = sorted(range(len(prompts)), key=lambda row: (longest[prompts[row]], prompts[row]))
    return torch.tensor(order, device=rows["input_ids"].device)


def _without_padding(rows: Mapping[str, torch.Tensor], group: torch.Tensor) -> dict[str, torch.Tensor]:
    """Some of the rows, without the columns that are padding in all of them."""
    used = rows["attention_mask"][group].any(dim=0)
    return {name: value[group][:, used] for name, value in rows.items()}


def nats_of(model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """`nats` of rows, which several processes read together (rows x tokens - 1)."""
    from learners.together import by_rows

    return by_rows(partial(nats, model), rows)
