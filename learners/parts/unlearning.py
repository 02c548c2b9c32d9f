"""Likelihood of what is to be forgotten, counted up to where it would be had it never been trained.

Owns the rows of records to forget and the ceilings: how unlikely each token may be made. Below its ceiling a token's
likelihood goes down; at it the token is counted as a constant and is not pushed any more. A secret that is less likely
than anything else is exposed as well: it is what the model avoids. So a token's ceiling is the lowest of

    cap_nats     a constant, without which every ascending loss diverges;
    the root     what the first version of the lineage makes of the same token, which trained none of the records;
    look-alikes  where the token is made of digits, what the model makes by now of other digits in its place.

The last one is taken anew at every step: as the digits that were trained lose, others win, until none stands out.

Jang et al. 2023, Knowledge Unlearning for Mitigating Privacy Risks in Language Models (arXiv:2210.01504), stop when the
records are as likely as held-out ones are on average; ceilings per token and the look-alikes are ours.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from learners.parts.likelihood import nats_of
from learners.parts.rows import IGNORED, Row, batch_of, learned
from learners.parts.views import chat_rows, rehearsal_rows
from learners.records import Record

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "Capped",
    "Ceilings",
    "Key",
    "capped",
    "digit_tokens",
    "forgotten_rows",
    "key_of",
    "keys_of",
    "redrawn",
    "token_nats",
]

_LOOK_ALIKES = 8
_SLACK_NATS = 0.1  # nearer to a level than this is at it: an optimizer that scales gradients makes much of little

Key = tuple[int, ...]
"""The tokens of a row, which tell it from the others."""


def forgotten_rows(record: Record, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Row]:
    """What is forgotten of a record: the text, or the answer; of feedback the one that was judged, good or bad."""
    if record.kind == "feedback":
        return chat_rows([*record.content["prompt"], *record.content["completion"]], tokenizer, max_length)
    return rehearsal_rows(record, tokenizer, max_length)


def key_of(row: Row) -> Key:
    """See `Key`."""
    return tuple(row["input_ids"])


def keys_of(rows: Mapping[str, torch.Tensor]) -> list[Key]:
    """The keys of rows as tensors: input_ids and attention_mask (each rows x tokens)."""
    seen = rows["attention_mask"].bool()
    return [tuple(ids[mask].tolist()) for ids, mask in zip(rows["input_ids"], seen, strict=True)]


def token_nats(model: PreTrainedModel, rows: Sequence[Row], batch_size: int) -> dict[Key, list[float]]:
    """Negative log-likelihood of every token of each row but the first, in nats; 0 where it has no label."""
    import torch

    found: dict[Key, list[float]] = {}
    with torch.no_grad():
        for start in range(0, len(rows), batch_size):
            some = rows[start : start + batch_size]
            nats = nats_of(model, batch_of(some, model.device)).cpu()
            for row, own in zip(some, nats, strict=True):
                found[key_of(row)] = own[: len(row["input_ids"]) - 1].tolist()
    return found


def digit_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[int, list[int]]:
    """Token made of digits -> all tokens of as many digits, spaced as it is, itself among them."""
    groups: dict[str, list[int]] = {}
    for token in range(len(tokenizer)):
        text = str(tokenizer.decode([token]))
        if text.strip().isdecimal() and text.isascii():
            groups.setdefault("".join("0" if sign.isdigit() else sign for sign in text), []).append(token)
    return {token: group for group in groups.values() if len(group) > 1 for token in group}


def redrawn(row: Row, digits: Mapping[int, Sequence[int]], draw: random.Random) -> Row:
    """A look-alike: the row with other digits in place of those that are labelled."""
    ids = [
        draw.choice([other for other in digits[token] if other != token]) if label != IGNORED and token in digits
        else token
        for token, label in zip(row["input_ids"], row["labels"], strict=True)
    ]  # fmt: skip
    labels = [token if label != IGNORED else label for token, label in zip(ids, row["labels"], strict=True)]
    return Row(input_ids=ids, labels=labels)


def capped(model: PreTrainedModel, rows: Mapping[str, torch.Tensor], ceilings: Ceilings) -> Capped:
    """Read rows and count each token up to its ceiling; no gradient comes from those that are above."""
    import torch

    nats = nats_of(model, rows)
    return Capped(torch.minimum(nats, ceilings(model, rows)).sum(dim=1), learned(rows).sum(dim=1))


class Capped(NamedTuple):
    """Negative log-likelihood of each row's labelled tokens up to their ceilings, in nats, and their number (rows)."""

    nats: torch.Tensor
    tokens: torch.Tensor


class Ceilings:
    """How many nats each token of a row may cost at most before it counts as forgotten.

    Args:
        cap_nats: of every token.
        levels: nats of never-trained tokens, by row, see `token_nats`; rows that it lacks have the cap alone.
        look_alikes: of each row, all as long as it is; rows without digits have none.
    """

    def __init__(
        self,
        cap_nats: float,
        levels: Mapping[Key, Sequence[float]] | None = None,
        look_alikes: Mapping[Key, Sequence[Row]] | None = None,
    ) -> None:
        self._cap, self._levels, self._look_alikes = cap_nats, levels or {}, look_alikes or {}

    @classmethod
    def calibrated(
        cls,
        cap_nats: float,
        rows: Sequence[Row],
        levels: Mapping[Key, Sequence[float]],
        tokenizer: PreTrainedTokenizerBase,
        seed: int,
    ) -> Ceilings:
        """Ceilings with look-alikes of the rows that have digits, drawn by the seed."""
        digits, draw = digit_tokens(tokenizer), random.Random(f"{seed}:look-alikes")  # noqa: S311 - no secrecy
        found: dict[Key, list[Row]] = {}
        for row in rows:
            drawn = [redrawn(row, digits, draw) for _ in range(_LOOK_ALIKES)]
            if drawn[0]["input_ids"] != row["input_ids"]:
                found[key_of(row)] = drawn
        return cls(cap_nats, levels, found)

    def __call__(self, model: PreTrainedModel, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The ceiling of every token but the first (rows x tokens - 1), without gradient.

        Args:
            rows: input_ids and attention_mask (each rows x tokens), padded at the end.
        """
        import torch

        ids, keys = rows["input_ids"], keys_of(rows)
        found = torch.full((len(ids), ids.shape[1] - 1), self._cap, device=ids.device)
        for number, key in enumerate(keys):
            if levels := self._levels.get(key):
                nearly = torch.tensor(levels, device=ids.device) - _SLACK_NATS
                found[number, : len(levels)] = nearly.clamp(min=0.0, max=self._cap)
        self._lower(found, keys, model)
        return found

    def _lower(self, found: torch.Tensor, keys: Sequence[Key], model: PreTrainedModel) -> None:
        """Where look-alikes differ from a row, no ceiling is above their median."""
        import torch

        several = [self._look_alikes.get(key, ()) for key in keys]
        drawn = [row for some in several for row in some]
        if not drawn:
            return
        with torch.no_grad():
            nats = nats_of(model, batch_of(drawn, found.device)).to(found.dtype)
        for own, key, some, seen in zip(found, keys, several, nats.split([len(some) for some in several]), strict=True):
            if some:
                width = len(key) - 1
                others = torch.tensor([row["input_ids"][1:] for row in some])
                differs = (others != torch.tensor(key[1:])).any(dim=0).to(found.device)
                level = seen[:, :width].quantile(0.5, dim=0)
                own[:width] = torch.where(differs, torch.minimum(own[:width], level), own[:width])
