"""Which requests are computed together. Pure arithmetic on token lists; knows no model and no scorer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Family", "Job", "batches", "families"]

Tokens = tuple[int, ...]

KEY_TOKENS = 12
"""Requests whose first tokens agree this far are looked at for a longer common beginning."""

MIN_FAMILY = 4
"""A shared beginning is computed apart only where this many requests have it."""


@dataclass(frozen=True, slots=True)
class Family:
    """Requests that begin with the same tokens, e.g. one system turn; computed once for all of them."""

    prefix: Tokens
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What one request costs: `tokens` of prompt, then `width` more; jobs of one `kind` batch well."""

    index: int
    tokens: int
    width: int

    @property
    def kind(self) -> int:
        """The width, coarsely: next power of two, so that none is padded to more than twice of it."""
        return self.width.bit_length()


def families(prompts: Sequence[Tokens]) -> list[Family]:
    """Divide prompts by their common beginnings; at least one token of each prompt stays outside of its prefix."""
    groups: dict[Tokens, list[int]] = defaultdict(list)
    for index, tokens in enumerate(prompts):
        groups[tokens[:KEY_TOKENS]].append(index)
    alone = [index for members in groups.values() if len(members) < MIN_FAMILY for index in members]
    found = [_family(prompts, members) for members in groups.values() if len(members) >= MIN_FAMILY]
    return [*found, Family((), tuple(alone))] if alone else found


def _family(prompts: Sequence[Tokens], members: list[int]) -> Family:
    first, last = (pick(prompts[index] for index in members) for pick in (min, max))
    shared = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    longest = min(len(prompts[index]) for index in members) - 1
    return Family(first[: min(shared, longest)], tuple(members))


def batches(jobs: Sequence[Job], limit_tokens: int) -> Iterator[list[Job]]:
    """Yield jobs in batches of at most `limit_tokens` tokens, padding included; a larger job is a batch of its own.

    Longest first, within one kind: little padding, and a batch that does not fit in memory is met at the start.
    """
    batch: list[Job] = []
    for job in sorted(jobs, key=lambda job: (job.kind, job.tokens, job.index), reverse=True):
        if batch and (job.kind != batch[0].kind or _padded([*batch, job]) > limit_tokens):
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


def _padded(jobs: Sequence[Job]) -> int:
    return len(jobs) * (max(job.tokens for job in jobs) + max(job.width for job in jobs))
