"""Which requests are computed together. Pure arithmetic on token lists; knows no model and no scorer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Family", "Job", "Tokens", "batches", "families"]

Tokens = tuple[int, ...]
"""A prompt, in numbers of the model's vocabulary."""

FAMILY_COST_TOKENS = 64
"""A shared beginning is computed apart only where that saves more tokens than this: smaller batches are slower."""

LEAST_SHARE = 0.8
FULL_TOKENS = 512
"""A batch of so many tokens to read takes no job with less than this share of its longest one's length."""


@dataclass(frozen=True, slots=True)
class Family:
    """Requests that begin with the same tokens, e.g. one system turn; computed once for all of them."""

    prefix: Tokens
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What one request costs: `tokens` of prompt, then `width` more, and `held` of a shared beginning in its cache.

    Jobs of one `kind` batch well.
    """

    index: int
    tokens: int
    width: int
    held: int = 0

    @property
    def kind(self) -> int:
        """The width, coarsely: next power of two, so that none is padded to more than twice of it."""
        return self.width.bit_length()


def families(prompts: Sequence[Tokens]) -> list[Family]:
    """Divide prompts by their common beginnings so that the most computation is shared.

    The sorted prompts are a tree of ever longer common beginnings; a branch is divided where its parts together save
    more tokens than it does. At least one token of each prompt stays outside of its prefix.
    """
    order = sorted(range(len(prompts)), key=prompts.__getitem__)
    tree = _tree(prompts, order)
    _divide(tree)
    chosen = _chosen(tree)
    shared = {order[place] for node in chosen for place in range(node.start, node.end)}
    found = [Family(prompts[order[node.start]][: node.depth], tuple(order[node.start : node.end])) for node in chosen]
    alone = tuple(index for index in range(len(prompts)) if index not in shared)
    return [*found, Family((), alone)] if alone else found


@dataclass(slots=True)
class _Node:
    """Places `start` to `end` of the sorted prompts, which share `depth` tokens; `saving` in tokens."""

    start: int
    end: int
    depth: int
    children: list[_Node] = field(default_factory=list["_Node"])
    saving: int = 0

    @property
    def own_saving(self) -> int:
        return (self.end - self.start - 1) * self.depth - FAMILY_COST_TOKENS


def _tree(prompts: Sequence[Tokens], order: Sequence[int]) -> list[_Node]:
    """All branches of two prompts and more, each before the branches inside of it."""
    common = [_common(prompts[a], prompts[b]) for a, b in pairwise(order)]
    nodes = [_Node(0, len(order), 0)] if len(order) > 1 else []
    for node in nodes:  # grows while it is walked
        inside = common[node.start : node.end - 1]
        shortest = min(len(prompts[index]) for index in order[node.start : node.end])
        node.depth = min(*inside, shortest - 1) if inside else 0
        cuts = [node.start + place + 1 for place, depth in enumerate(inside) if depth == min(inside)]
        parts = pairwise([node.start, *cuts, node.end])
        node.children = [_Node(start, end, 0) for start, end in parts if end - start > 1]
        nodes += node.children
    return nodes


def _divide(tree: Sequence[_Node]) -> None:
    """Find what each branch saves at best, and drop the children of those that save more undivided."""
    for node in reversed(tree):
        divided = sum(child.saving for child in node.children)
        node.saving = max(node.own_saving, divided, 0)
        if node.own_saving >= divided:
            node.children = []


def _chosen(tree: Sequence[_Node]) -> list[_Node]:
    found: list[_Node] = []
    waiting = list(tree[:1])
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if not node.children and node.own_saving > 0:
            found.append(node)
    return sorted(found, key=lambda node: node.start)


def _common(first: Tokens, second: Tokens) -> int:
    ends = (place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(ends, min(len(first), len(second)))


def batches(jobs: Sequence[Job], limit_tokens: int, full_tokens: int = FULL_TOKENS) -> Iterator[list[Job]]:
    """Yield jobs in batches of at most `limit_tokens` tokens, padding included; a larger job is a batch of its own.

    Longest first, within one kind: little padding, and a batch that does not fit in memory is met at the start.

    Args:
        full_tokens: a batch of so many takes no job that is much shorter; at `limit_tokens`, any that fits.
    """
    batch: list[Job] = []
    for job in sorted(jobs, key=lambda job: (job.kind, job.tokens, job.index), reverse=True):
        if batch and not _belongs(job, batch, limit_tokens, full_tokens):
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


def _belongs(job: Job, batch: Sequence[Job], limit_tokens: int, full_tokens: int) -> bool:
    """Whether a job is of the batch's kind and fits, and is not so short that padding would cost more than a pass."""
    short = job.tokens + job.width < LEAST_SHARE * (batch[0].tokens + batch[0].width)
    return (
        job.kind == batch[0].kind
        and _padded([*batch, job]) <= limit_tokens
        and not (short and _padded(batch) >= full_tokens)
    )


def _padded(jobs: Sequence[Job]) -> int:
    longest = max(job.tokens for job in jobs) + max(job.width for job in jobs)
    return len(jobs) * (longest + jobs[0].held)
