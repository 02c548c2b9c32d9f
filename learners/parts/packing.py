"""Packing: the rows of a batch in fewer tokens, read as if each stood alone.

Rows that begin alike share their beginning: a system prompt, the instruction of a task, the request of two answers are
read once a batch, and what differs stands behind it, side by side. A token sees the tokens before it in its own row and
no others, by a mask, and counts its position there. Loss and gradients are those of the padded rows up to the order of
sums. Owns which rows share a sequence, the packed batch, and the proof that a model reads it so. Called by
`learners.trainer`, which allows it, and by `learners.parts.likelihood`, which reads rows.

Tree attention: Miao et al. 2024, SpecInfer (arXiv:2305.09781), there for decoding; Wang & Hegde 2024, prefix sharing
for DPO (arXiv:2410.20305). Ours shares whatever rows of a batch have in common, of any stage, not the prompt of a pair
alone; and it computes attention densely, which is why a layout is charged for the length of its sequences.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from learners.parts.rows import IGNORED

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Packed", "allow", "arranged", "packed"]

_ALLOWED = "cld_packs"  # set on the plain model
_ATTENTION = ("eager", "sdpa")  # those that take a mask for every pair of tokens
_PROOF_TOKENS = 16
_PROOF_TOLERANCE = 1e-3  # of the largest logit; summing in another order moves the 6th digit, a leak the first
_CAPACITIES = 24


class Packed(NamedTuple):
    """A batch of rows laid out anew.

    Attributes:
        batch: input_ids, labels, position_ids (each sequences x tokens) and attention_mask (sequences x 1 x tokens x
            tokens). The token before a labelled one is that of its row, so labels are shifted as ever.
        places: where each token of each row stands, as sequence * tokens + column (rows x tokens); of padding, 0.
    """

    batch: dict[str, torch.Tensor]
    places: torch.Tensor


class _Row(NamedTuple):
    """Its number in the batch, tokens, labels, and how many of the first tokens may be shared.

    The token before what is learned is the row's own.
    """

    number: int
    ids: list[int]
    labels: list[int]
    sharable: int


def allow(model: PreTrainedModel) -> bool:
    """Let the rows of this model be packed, if it keeps them apart; whatever it is wrapped in later.

    Returns:
        Whether it does: its attention takes a mask and positions, nothing is attached to it that looks at rows one by
        one, and a row's logits are those of the row alone.
    """
    from learners.parts.extensions import attached

    bare = _bare(model)
    takes = "position_ids" in inspect.signature(bare.forward).parameters and _attention(bare) in _ATTENTION
    extension = attached(bare)
    apart = takes and (extension is None or not extension.by_row) and _keeps_apart(model)
    setattr(bare, _ALLOWED, apart)
    return apart


def packed(model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> Packed | None:
    """Rows in fewer tokens.

    Args:
        rows: input_ids, labels and attention_mask (each rows x tokens), filled up at the end.

    Returns:
        None where nothing is saved, where the model was not allowed, and where rows are longer than it looks back.
    """
    bare = _bare(model)
    if not getattr(bare, _ALLOWED, False):
        return None
    config = bare.config.get_text_config()
    found = sorted(_rows(rows), key=lambda row: row.ids[: row.sharable])
    lengths = [len(row.ids) for row in found]
    if max(lengths) > _reach(config):
        return None
    alike = [0, *(_common(before, row) for before, row in itertools.pairwise(found))]
    groups = arranged(lengths, alike, _cost(int(config.hidden_size)))
    if len(groups) == len(found):
        return None
    return _laid_out([[found[index] for index in group] for group in groups], rows["input_ids"], eager=_eager(bare))


def arranged(lengths: Sequence[int], alike: Sequence[int], cost: Callable[[int, int], float]) -> list[list[int]]:
    """Which rows share a sequence, so that reading them costs least.

    Sequences of several capacities are tried; each row goes where it shares most, then where it is fullest.

    Args:
        lengths: tokens of each row; neighbours begin alike.
        alike: how many tokens each row shares with the one before it.
        cost: (sequences, tokens of the longest) -> of reading them.

    Returns:
        Indices into `lengths`, each once, ascending, one list a sequence; every row alone where packing saves nothing.
    """
    longest, total = max(lengths), sum(lengths) - sum(alike[1:])
    best, least = [[index] for index in range(len(lengths))], cost(len(lengths), longest)
    for capacity in range(longest, max(total, longest) + 1, max(1, (total - longest) // _CAPACITIES)):
        groups, sizes = _filled(lengths, alike, capacity)
        if cost(len(groups), max(sizes)) < least:
            best, least = groups, cost(len(groups), max(sizes))
    return best


def _filled(lengths: Sequence[int], alike: Sequence[int], capacity: int) -> tuple[list[list[int]], list[int]]:
    """Sequences of at most `capacity` tokens, and how many each has."""
    groups: list[list[int]] = []
    sizes: list[int] = []
    common: list[int] = []  # of the last row of each sequence and the one at hand
    for row, (length, same) in enumerate(zip(lengths, alike, strict=True)):
        common = [min(before, same) for before in common]
        fitting = [at for at, size in enumerate(sizes) if size + length - common[at] <= capacity]
        if fitting:
            at = max(fitting, key=lambda at: (common[at], sizes[at]))
            groups[at].append(row)
            sizes[at] += length - common[at]
            common[at] = length
        else:
            groups.append([row])
            sizes.append(length)
            common.append(length)
    return groups, sizes


def _cost(width: int) -> Callable[[int, int], float]:
    """Of a layer: 12 width^2 products a token in its matrices, 2 width for every token that it may look at."""
    return lambda sequences, tokens: sequences * tokens * (6 * width + tokens)


def _rows(rows: Mapping[str, torch.Tensor]) -> list[_Row]:
    lengths = rows["attention_mask"].sum(dim=1).tolist()
    read = zip(rows["input_ids"].tolist(), rows["labels"].tolist(), lengths, strict=True)
    return [_row(number, ids[:length], labels[:length]) for number, (ids, labels, length) in enumerate(read)]


def _row(number: int, ids: list[int], labels: list[int]) -> _Row:
    first = next((place for place, label in enumerate(labels) if place and label != IGNORED), len(labels))
    return _Row(number, ids, labels, sharable=first - 1)


def _common(before: _Row, row: _Row) -> int:
    """How many tokens two rows share."""
    most = min(before.sharable, row.sharable)
    return next((place for place in range(most) if before.ids[place] != row.ids[place]), most)


def _laid_out(groups: Sequence[Sequence[_Row]], padded: torch.Tensor, *, eager: bool) -> Packed:
    """The packed batch of these sequences; the rows of each are sorted, so neighbours share most."""
    import torch

    paths = [_paths(group) for group in groups]
    width = max(int(path.max()) for found in paths for _, path in found) + 1
    shape = (len(groups), width)
    ids, positions = (torch.zeros(shape, dtype=torch.long) for _ in range(2))
    labels = torch.full(shape, IGNORED)
    mask = torch.eye(width, dtype=torch.bool).repeat(len(groups), 1, 1)
    places = torch.zeros(padded.shape, dtype=torch.long)
    for at, (group, found) in enumerate(zip(groups, paths, strict=True)):
        for row, (shared, path) in zip(group, found, strict=True):
            own = path[shared:]
            ids[at, own] = torch.tensor(row.ids[shared:])
            labels[at, own[1:]] = torch.tensor(row.labels[shared + 1 :], dtype=torch.long)
            positions[at, own] = torch.arange(shared, len(path))
            mask[at, own[:, None], path] = torch.ones(len(path), len(path), dtype=torch.bool).tril()[shared:]
            places[row.number, : len(path)] = at * width + path
    told = mask if not eager else torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    batch = {"input_ids": ids, "labels": labels, "position_ids": positions, "attention_mask": told[:, None]}
    return Packed({name: value.to(padded.device) for name, value in batch.items()}, places.to(padded.device))


def _paths(group: Sequence[_Row]) -> list[tuple[int, torch.Tensor]]:
    """Of each row of a sequence: how many tokens it shares with the one before, and the columns of all its tokens."""
    import torch

    found = [(0, torch.arange(len(group[0].ids)))]
    filled = len(group[0].ids)
    for before, row in itertools.pairwise(group):
        shared = _common(before, row)
        own = torch.arange(filled, filled + len(row.ids) - shared)
        found.append((shared, torch.cat([found[-1][1][:shared], own])))
        filled += len(own)
    return found


def _keeps_apart(model: PreTrainedModel) -> bool:
    """Whether two rows that begin alike have the logits, packed, that they have one by one."""
    import torch

    half = _PROOF_TOKENS // 2
    rows = [list(range(_PROOF_TOKENS)), [*range(half), *range(_PROOF_TOKENS, _PROOF_TOKENS + half)]]
    ids = torch.tensor(rows, device=model.device) % _bare(model).config.get_text_config().vocab_size
    found = [_row(number, row, [IGNORED] * _PROOF_TOKENS) for number, row in enumerate(ids.tolist())]
    together = _laid_out([found], ids, eager=_eager(_bare(model)))
    inputs = {name: value for name, value in together.batch.items() if name != "labels"}
    training = model.training
    model.eval()
    with torch.no_grad():
        alone = model(input_ids=ids, use_cache=False).logits
        beside = model(**inputs, use_cache=False).logits[0, together.places]
    model.train(training)
    return float((beside - alone).abs().max()) <= _PROOF_TOLERANCE * float(alone.abs().max())


def _reach(config: object) -> float:
    """How far back any layer looks, in tokens."""
    windows = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return min((window for window in windows if window), default=float("inf"))


def _attention(bare: PreTrainedModel) -> str:
    return str(bare.config._attn_implementation)  # pyright: ignore[reportPrivateUsage] - there is no other name for it


def _eager(bare: PreTrainedModel) -> bool:
    """Whether masks are numbers that are added; else they are True where a token is seen."""
    return _attention(bare) == "eager"


def _bare(model: PreTrainedModel) -> PreTrainedModel:
    from learners.parts.extensions import plain
    from learners.together import unwrapped

    return plain(unwrapped(model))
