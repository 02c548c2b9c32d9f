"""Labels: which tokens of a row are learned, which are its prompt, and rows side by side as a batch.

A row's labels are its tokens where these are learned, and `IGNORED` where they are read and not learned. Knows neither
models nor losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

    from learners.parts.views import Row

__all__ = ["IGNORED", "asked", "batch_of", "learned"]

IGNORED: Final = -100
"""The label of a token that is read and not learned; torch's losses leave it out, too."""


def batch_of(rows: Sequence[Row], device: torch.device) -> dict[str, torch.Tensor]:
    """Rows side by side: input_ids, labels and attention_mask (each rows x tokens), filled up at the end."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    def filled(lists: Iterable[Sequence[int]], value: int) -> torch.Tensor:
        return pad_sequence([torch.tensor(one) for one in lists], batch_first=True, padding_value=value).to(device)

    ids = [row["input_ids"] for row in rows]
    return {
        "input_ids": filled(ids, 0),
        "labels": filled([row["labels"] for row in rows], IGNORED),
        "attention_mask": filled([[1] * len(one) for one in ids], 0),
    }


def learned(rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Which tokens but the first are labelled (rows x tokens - 1)."""
    return rows["labels"][:, 1:] != IGNORED


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
