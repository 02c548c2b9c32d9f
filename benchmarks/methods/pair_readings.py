"""What a version makes of held-out preference pairs: accuracy, margins, and how sure it is of what it says.

Owns one pass over both answers of every pair, in batches of as many tokens as probes are measured in, on whatever
device the version is in memory. An answer is read as it is trained on, its end-of-turn token included. Readings are
kept, so a run that was cut off reads nothing twice. Called by `one_run`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmarks.lab import Lab
from benchmarks.methods.setup import PairReading
from benchmarks.methods.tasks import Task
from learners.durable import write_atomic
from learners.failures import InvalidInput

if TYPE_CHECKING:
    import torch

__all__ = ["pair_readings"]

_LONGEST_TOKENS = 1024
_PLACES_AT_ONCE = 512
"""Tokens whose predictions over the whole vocabulary are in memory in float32 together."""


@dataclass(frozen=True)
class _Asked:
    """An answer with the prompt before it, in tokens."""

    prompt: list[int]
    answer: list[int]

    @property
    def tokens(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class _Said:
    """Log-probability of an answer, in nats, and the mean entropy of the predictions of its tokens."""

    nats: float
    tokens: int
    entropy_nats: float


def pair_readings(lab: Lab, version_id: str, tasks: Sequence[Task]) -> dict[str, PairReading]:
    """Read a version on the held-out pairs of each task, by the task's name.

    Raises:
        InvalidInput: a task has no pair that fits into a row.
    """
    kept = lab.folder / "jobs" / f"pairs-{version_id}.json"
    if not kept.exists():
        found = _read(lab, version_id, tasks)
        kept.parent.mkdir(exist_ok=True)
        write_atomic(kept, json.dumps({name: reading.model_dump() for name, reading in found.items()}, indent=1))
    return {name: PairReading.model_validate(one) for name, one in json.loads(kept.read_bytes()).items()}


def _read(lab: Lab, version_id: str, tasks: Sequence[Task]) -> dict[str, PairReading]:
    from learners.parts.views import pair_rows
    from monitors.engines.residents import Residents

    resident = Residents(lab.engine.dtype).bring(lab.version(version_id))
    held_out = [(task.name, record) for task in tasks for record in task.held_out]
    rows = [(name, row) for name, one in held_out for row in pair_rows(one, resident.tokenizer, _LONGEST_TOKENS)]
    sides = ("chosen_ids", "rejected_ids")
    asked = [_Asked(row["prompt_ids"], row[side]) for _, row in rows for side in sides]
    said = _scored(resident.model, asked, lab.engine.batch_tokens)
    pairs: dict[str, list[tuple[_Said, _Said]]] = {task.name: [] for task in tasks}
    for (name, _), chosen, rejected in zip(rows, said[::2], said[1::2], strict=True):
        pairs[name].append((chosen, rejected))
    return {name: _reading(name, own) for name, own in pairs.items()}


def _reading(name: str, pairs: Sequence[tuple[_Said, _Said]]) -> PairReading:
    if not pairs:
        raise InvalidInput(f"task {name!r} has no held-out pair of at most {_LONGEST_TOKENS} tokens")
    return PairReading(
        by_sum=fmean(chosen.nats > rejected.nats for chosen, rejected in pairs),
        by_token=fmean(chosen.nats / chosen.tokens > rejected.nats / rejected.tokens for chosen, rejected in pairs),
        margin_nats=fmean(chosen.nats - rejected.nats for chosen, rejected in pairs),
        entropy_nats=fmean(chosen.entropy_nats for chosen, _ in pairs),
    )


def _scored(model: Any, asked: Sequence[_Asked], batch_tokens: int) -> list[_Said]:
    import torch

    found: dict[int, _Said] = {}
    with torch.inference_mode():
        for batch in _batches(asked, batch_tokens):
            found |= zip(batch, _forward(model, [asked[index] for index in batch]), strict=True)
    return [found[index] for index in range(len(asked))]


def _batches(asked: Sequence[_Asked], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of answers that are read together: alike in length, at most `batch_tokens` with their padding."""
    batch: list[int] = []
    for index in sorted(range(len(asked)), key=lambda place: -asked[place].tokens):
        if batch and (len(batch) + 1) * asked[batch[0]].tokens > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _forward(model: Any, asked: Sequence[_Asked]) -> list[_Said]:
    """One pass over rows padded on the right; only the predictions of answers are computed over the vocabulary."""
    import torch

    width = max(one.tokens for one in asked)
    columns: Mapping[str, list[list[int]]] = {
        "ids": [[*one.prompt, *one.answer, *[0] * (width - one.tokens)] for one in asked],
        "real": [[1] * one.tokens + [0] * (width - one.tokens) for one in asked],
        "answer": [[0] * len(one.prompt) + [1] * len(one.answer) + [0] * (width - one.tokens) for one in asked],
    }
    ids, real, answer = (torch.tensor(rows, device=model.device) for rows in columns.values())
    mask = answer[:, 1:].bool()
    places = mask.any(dim=0).nonzero().flatten()
    logits = model(input_ids=ids, attention_mask=real, use_cache=False, logits_to_keep=places).logits
    own = mask[:, places]
    nats, entropies = _token_readings(logits[own], ids[:, 1:][:, places][own])
    lengths = own.sum(dim=1).tolist()
    parts = zip(nats.split(lengths), entropies.split(lengths), strict=True)
    return [_Said(float(part.sum()), len(part), float(entropy.mean())) for part, entropy in parts]


def _token_readings(logits: torch.Tensor, said: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each said token and entropy of its prediction, in nats: tokens x vocabulary -> 2 x tokens."""
    import torch

    nats: list[torch.Tensor] = []
    entropies: list[torch.Tensor] = []
    for part, token in zip(logits.split(_PLACES_AT_ONCE), said.split(_PLACES_AT_ONCE), strict=True):
        log_p = part.float().log_softmax(-1)
        nats.append(log_p.gather(1, token[:, None])[:, 0])
        entropies.append(-(log_p.exp() * log_p).sum(-1))
    return torch.cat(nats).cpu(), torch.cat(entropies).cpu()
