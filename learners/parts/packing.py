"""Packing: several short rows of a batch in one sequence, so that little of what is computed is padding.

Owns which rows share a sequence, the packed batch, and the proof that a model keeps them apart. A packed batch has the
loss and the gradients of the padded one up to the order of its sums: positions restart with every row, nothing sees
another row, and no row's first token is predicted. Between rows there is no mask: transformers derives it from the
restarting positions where a batch has no `attention_mask`, on every attention that takes one (eager, sdpa). Models
that do not are refused. Called by `learners.trainer`; methods see the padded batch, whatever the setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from learners.failures import InvalidInput
from learners.parts.views import Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["arranged", "packed", "refuse_leaks"]

_IGNORED = -100
_PROOF_TOKENS = 16
_PROOF_TOLERANCE = 1e-3  # of the largest logit; summing in another order moves the 6th digit, a leak the first


def arranged(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Which rows share a sequence, so that sequences x longest of them, what a model computes, is least.

    Every number of sequences is tried, the longest rows first into the emptiest one. No sequence is longer than
    `limit` or the longest row; of equal areas the one with more, shorter sequences is taken, as attention costs less.

    Args:
        lengths: tokens of each row of the batch.
        limit: most tokens of a packed sequence.

    Returns:
        Indices into `lengths`, each once, one list a sequence; every row alone where packing saves nothing.
    """
    limit = max(limit, *lengths)
    best = [[index] for index in range(len(lengths))]
    for count in range(len(lengths) - 1, 0, -1):
        filled = _balanced(lengths, count)
        longest = _longest(filled, lengths)
        if longest <= limit and count * longest < len(best) * _longest(best, lengths):
            best = filled
    return best


def _balanced(lengths: Sequence[int], count: int) -> list[list[int]]:
    filled: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        min(filled, key=lambda chosen: sum(lengths[other] for other in chosen)).append(index)
    return filled


def _longest(filled: Sequence[Sequence[int]], lengths: Sequence[int]) -> int:
    return max(sum(lengths[index] for index in chosen) for chosen in filled)


def packed(rows: Sequence[Row], limit: int, pad_token_id: int) -> dict[str, torch.Tensor] | None:
    """The batch of `rows` with several in a sequence: input_ids, labels and position_ids (each sequences x tokens).

    Args:
        limit: most tokens of a packed sequence, unless one row is longer.

    Returns:
        None where packing saves nothing.
    """
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    places = arranged([len(row["input_ids"]) for row in rows], limit)
    if len(places) == len(rows):
        return None
    collate = DataCollatorForLanguageModeling(pad_token_id, return_position_ids=True)
    batch: dict[str, Any] = collate([_joined([rows[index] for index in chosen]) for chosen in places])
    del batch["attention_mask"]  # with it, transformers takes every sequence for one document
    return batch


def _joined(rows: Sequence[Row]) -> dict[str, list[int]]:
    return {
        "input_ids": [token for row in rows for token in row["input_ids"]],
        "labels": [label for row in rows for label in [_IGNORED, *row["labels"][1:]]],
        "seq_lengths": [len(row["input_ids"]) for row in rows],
    }


def refuse_leaks(model: PreTrainedModel, rows: Sequence[Row]) -> None:
    """Refuse a model in which a packed row sees its neighbour, by looking at the second row alone and packed.

    Raises:
        InvalidInput: its attention does not look at positions, or something that is attached to it does not.
    """
    import torch

    first, second = (row["input_ids"][:_PROOF_TOKENS] for row in (rows[0], rows[-1]))
    lengths = [len(first), len(second)]

    def tensor(numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor([numbers], device=model.device)

    training = model.training
    model.eval()
    with torch.no_grad():
        positions = tensor([place for length in lengths for place in range(length)])
        together = model(input_ids=tensor([*first, *second]), position_ids=positions, use_cache=False).logits
        alone = model(input_ids=tensor(second), use_cache=False).logits
    model.train(training)
    difference = float((together[:, -len(second) :] - alone).abs().max())
    if difference > _PROOF_TOLERANCE * float(alone.abs().max()):
        raise InvalidInput(
            f"{type(model).__name__} cannot learn from packed sequences: a row's logits change by {difference:.3g} "
            "when another stands before it, so rows are not kept apart; set packing = false"
        )
