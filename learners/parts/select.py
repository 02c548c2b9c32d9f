"""Which records are worth training on: scores of records, their combination, and how the best are taken.

Owns three scores, each a number per record that is higher where training helps more: `similarity` to texts of a task,
`novelty` (loss under a model) and `diversity` (entropy of a record's tokens); the mean of their quantile ranks; and a
hard and a soft choice of the highest, the lowest or the middle ones, or of any. Used by methods in `prepare`; a share
of 1 takes every record, in its order.

Sources: Xie et al. 2023, Efficient Continual Pre-training for Building Domain Specific LLMs (arXiv:2311.08545); for the
parts other than the highest, the code of Cossu et al. 2022 (arXiv:2205.09357), which takes examples by their loss.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from learners.parts.likelihood import negative_log_likelihood
from learners.parts.rows import Row, batch_of
from learners.records import Record

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Material, Sources

__all__ = ["Part", "Sampling", "best", "chosen", "combined", "diversity", "embedded", "novelty", "similarity"]

Sampling = Literal["hard", "soft"]
Part = Literal["top", "bottom", "median", "random"]


def similarity(model: PreTrainedModel, rows: Sequence[Row], task: Sequence[Row]) -> list[float]:
    """Cosine between each row and the mean of the task's rows, all embeddings centred on the mean of `rows`.

    Uncentred embeddings of a language model point nearly the same way, and their cosines say little.

    Args:
        model: in evaluation mode.
        rows: of the records that are scored, one each.
        task: of texts that show the task.

    Returns:
        One number in [-1, 1] for each of `rows`.
    """
    import torch
    from torch.nn.functional import cosine_similarity

    own, theirs = embedded(model, rows), embedded(model, task)
    centre = own.mean(dim=0)
    direction = (theirs.mean(dim=0) - centre).expand_as(own)
    return torch.nan_to_num(cosine_similarity(own - centre, direction, dim=1)).tolist()


def embedded(model: PreTrainedModel, rows: Sequence[Row]) -> torch.Tensor:
    """The mean of each row's last hidden states, but that of the first token, which is alike for all: rows x width."""
    import torch

    with torch.inference_mode():
        outputs = [
            model(input_ids=torch.tensor([row["input_ids"]], device=model.device), output_hidden_states=True)
            for row in rows
        ]
    return torch.stack([output.hidden_states[-1][0, 1:].float().mean(dim=0) for output in outputs])


def novelty(model: PreTrainedModel, rows: Sequence[Row]) -> list[float]:
    """Mean negative log-likelihood of each row's labelled tokens under the model, in nats (log perplexity)."""
    import torch

    with torch.inference_mode():
        return [float(negative_log_likelihood(model, batch_of([row], model.device))) for row in rows]


def diversity(rows: Sequence[Row]) -> list[float]:
    """Entropy of each row's token frequencies, in nats."""
    return [_entropy(list(Counter(row["input_ids"]).values())) for row in rows]


def _entropy(counts: Sequence[int]) -> float:
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts)


def combined(*scores: Sequence[float]) -> list[float]:
    """The mean of the scores' quantile ranks, in [0, 1]."""
    ranked = [_quantiles(values) for values in scores]
    return [sum(values) / len(values) for values in zip(*ranked, strict=True)]


def _quantiles(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0.0] * len(values)
    for rank, index in enumerate(order):
        ranks[index] = rank / max(1, len(values) - 1)
    return ranks


def best(sources: Sources, scored: Callable[[Sequence[Row]], Sequence[Sequence[float]]]) -> Material:
    """The material of the records that score best, each by its first row; of all of them where all are kept.

    Args:
        sources: whose settings have keep_share, sampling and part.
        scored: rows -> some scores of each of them, which are combined.
    """
    settings = sources.settings
    if settings.keep_share == 1:
        return sources.material()
    views = [(record, sources.material([record]).rows[0]) for record in sources.material().records]
    records, rows = [record for record, _ in views], [row for _, row in views]
    scores = combined(*scored(rows))  # pyright: ignore[reportArgumentType]
    return sources.material(chosen(
        records, scores, settings.keep_share, sampling=settings.sampling, seed=sources.seed, part=settings.part
    ))  # fmt: skip


def chosen(
    records: Sequence[Record],
    scores: Sequence[float],
    share: float,
    *,
    sampling: Sampling,
    seed: int,
    part: Part = "top",
) -> list[Record]:
    """A `share` of the records, at least one, in their order.

    Args:
        sampling: `hard` takes those of the part; `soft` draws without replacement, weighted by quantile score.
        part: the highest scores, the lowest, those nearest to the median, or any.
    """
    count = max(1, round(len(records) * share))
    keys = scores = _wanted(scores, part, seed)
    if sampling == "soft":
        draw = random.Random(f"{seed}:select")  # noqa: S311 - sampling, not secrecy
        # Efraimidis and Spirakis 2006: the largest u^(1/w) are a weighted sample without replacement.
        keys = [draw.random() ** (1 / max(weight, 1e-3)) for weight in _quantiles(scores)]
    best = sorted(range(len(records)), key=lambda index: keys[index], reverse=True)[:count]
    return [records[index] for index in sorted(best)]


def _wanted(scores: Sequence[float], part: Part, seed: int) -> list[float]:
    """Numbers that are the higher the more a record is of the part."""
    if part == "random":
        draw = random.Random(f"{seed}:part")  # noqa: S311 - sampling, not secrecy
        return [draw.random() for _ in scores]
    if part == "median":
        return [-abs(rank - 0.5) for rank in _quantiles(scores)]
    return [-score for score in scores] if part == "bottom" else list(scores)
