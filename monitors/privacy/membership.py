"""Membership: can it be told from a version's likelihoods which records it was trained on?

Owns the passage of a record whose likelihood is read, the three signals and their AUC. 0.5 is no trace; 1.0 tells every
trained record from every fresh one.

    loss        mean log-likelihood, nats per token (Yeom et al. 2018); confounded by how easy a text is
    Min-K%      mean over the fifth of its tokens that the version finds least likely (Shi et al. 2024, "Detecting
                Pretraining Data from Large Language Models", arXiv:2310.16789, equation 1 with their K = 20): a text
                that was never read has some token that surprises, a text learned by heart has none
    reference   the loss signal minus the parent's (Carlini et al. 2022, section V; Ye et al. 2022 "attack R"): what
                this update alone changed, so it is the one to read

The first two need no parent and are what a stranger with the weights alone can do. They take fewer than five tokens as
one; where an engine tells only the sum of a passage's log-probabilities there is no Min-K%.

Some trace is what learning is. A large one on instructions and small talk, which need not be kept word for word, says
that fewer epochs would do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from learners.records import Record
from monitors.engines import Engine, Likelihood, Prompt, Turn, in_order

__all__ = ["auc", "auc_error", "likelihoods", "min_k", "passage"]

PASSAGE_CHARACTERS = 1200
LEAST_LIKELY_SHARE = 0.2


def passage(record: Record) -> tuple[Prompt, str]:
    """What stands before, and the text that training learned: a document, or the last turn of a conversation."""
    content = record.content
    if record.kind == "text":
        return Prompt(), str(content["text"])[:PASSAGE_CHARACTERS]
    turns = content.get("messages") or [*content["prompt"], *(content.get("chosen") or content["completion"])]
    *before, last = [Turn(turn["role"], str(turn["content"])) for turn in turns]
    return Prompt(tuple(before)), last.content[:PASSAGE_CHARACTERS]


def likelihoods(engine: Engine, records: Sequence[Record]) -> list[Likelihood]:
    """Log-likelihood of each record's passage: its `mean` is the loss signal, `min_k` of it the other one."""
    pairs = [passage(record) for record in records]
    return in_order(engine.loglikelihood(pairs), len(pairs))


def min_k(found: Likelihood, share: float = LEAST_LIKELY_SHARE) -> float | None:
    """Mean log-probability of the least likely `share` of the tokens, of one at least, in nats.

    Returns:
        None where the engine told no token's own.
    """
    count = max(1, int(len(found.each) * share))
    lowest = sorted(found.each)[:count]
    return sum(lowest) / count if lowest else None


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
