"""Rows: what is trained on, as token numbers; which tokens of them are learned, and rows side by side as a batch.

A row's labels are its tokens where these are learned, and `IGNORED` where they are read and not learned. Knows neither
records nor models: `learners.parts.views` makes rows of records, `learners.parts.likelihood` reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypedDict

if TYPE_CHECKING:
    import torch

__all__ = [
    "IGNORED", "AnyRow", "Form", "LabelRow", "PairRow", "PromptRow", "Row", "asked", "batch_of", "learned",
    "learned_tokens",
]  # fmt: skip

Form = Literal["rows", "pairs", "labels", "prompts"]
"""What a training row is: tokens to predict, two answers of which one is better, one judged answer, or a question."""

IGNORED: Final = -100
"""The label of a token that is read and not learned; torch's losses leave it out, too."""


class Row(TypedDict):
    """Tokens and labels of one sequence, equal in length."""

    input_ids: list[int]
    labels: list[int]


class PairRow(TypedDict):
    """Tokens of one preference: the shared prompt and both continuations."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]


class LabelRow(TypedDict):
    """Tokens of one judged answer: its prompt, the answer, and whether answers like it are wanted."""

    prompt_ids: list[int]
    completion_ids: list[int]
    label: bool


class PromptRow(TypedDict):
    """Tokens of one prompt that the model itself answers, and the answer a reward may look for; "" where none is."""

    prompt_ids: list[int]
    answer: str


AnyRow = Row | PairRow | LabelRow | PromptRow


def learned_tokens(row: Row) -> int:
    """Tokens of a row that are predicted and learned; the first one is predicted from nothing."""
    return sum(label != IGNORED for label in row["labels"][1:])


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
