"""Membership: can it be told from a version's likelihoods which records it was trained on?

Owns the passage of a record whose likelihood is read, the two signals and their AUC. 0.5 is no trace; 1.0 tells every
trained record from every fresh one.

    loss        mean log-likelihood, nats per token (Yeom et al. 2018); confounded by how easy a text is
    reference   the same minus the parent's (Carlini et al. 2022, section V; Ye et al. 2022 "attack R"): what this
                update alone changed, so it is the one to read

Some trace is what learning is. A large one on instructions and small talk, which need not be kept word for word, says
that fewer epochs would do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from learners.records import Record
from monitors.engines import Engine, Prompt, Turn, in_order

__all__ = ["auc", "auc_error", "likelihoods", "passage"]

PASSAGE_CHARACTERS = 1200


def passage(record: Record) -> tuple[Prompt, str]:
    """What stands before, and the text that training learned: a document, or the last turn of a conversation."""
    content = record.content
    if record.kind == "text":
        return Prompt(), str(content["text"])[:PASSAGE_CHARACTERS]
    turns = content.get("messages") or [*content["prompt"], *(content.get("chosen") or content["completion"])]
    *before, last = [Turn(turn["role"], str(turn["content"])) for turn in turns]
    return Prompt(tuple(before)), last.content[:PASSAGE_CHARACTERS]


def likelihoods(engine: Engine, records: Sequence[Record]) -> list[float]:
    """Mean log-likelihood of each record's passage, nats per token."""
    pairs = [passage(record) for record in records]
    return [found.mean for found in in_order(engine.loglikelihood(pairs), len(pairs))]


def auc(members: Sequence[float], fresh: Sequence[float]) -> float:
    """Probability that a random member's signal exceeds a random fresh record's, ties counting half.

    Raises:
        ValueError: one side is empty.
    """
    if not members or not fresh:
        raise ValueError(f"an AUC needs both sides, found {len(members)} members and {len(fresh)} fresh records")
    wins = sum((one > other) + (one == other) / 2 for one in members for other in fresh)
    return wins / (len(members) * len(fresh))


def auc_error(area: float, members: int, fresh: int) -> float:
    """Standard error of an AUC (Hanley and McNeil 1982, equation 2 with their exponential approximation)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (members - 1) * (q1 - area**2) + (fresh - 1) * (q2 - area**2)
    return math.sqrt(max(spread, 0.0) / (members * fresh))
