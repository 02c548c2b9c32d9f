"""How a budget of rehearsal is shared out: between tasks by how unlike the new one they are, inside one by information.

Owns the exact 1-Wasserstein distance between two sets of embeddings, the information of instructions, and rounding that
keeps sums. Wang et al. 2024, InsCL (arXiv:2403.11435).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["distance", "information", "shared_out"]

_WORD = re.compile(r"\w+")


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The least mean cosine distance over which one set of embeddings is carried to the other, all weighing alike.

    Args:
        ours, theirs: rows x width; their numbers of rows may differ.

    Returns:
        In [0, 2]; 0 for equal sets.
    """
    import numpy
    from scipy.optimize import linprog
    from torch.nn.functional import normalize

    cost = (1 - normalize(ours.double(), dim=1) @ normalize(theirs.double(), dim=1).T).cpu().numpy()
    rows, columns = cost.shape
    leaving = numpy.kron(numpy.eye(rows), numpy.ones((1, columns)))
    arriving = numpy.kron(numpy.ones((1, rows)), numpy.eye(columns))
    # One equation follows from the others, and is left out.
    wanted = [*[1 / rows] * rows, *[1 / columns] * (columns - 1)]
    found = linprog(cost.ravel(), A_eq=numpy.vstack([leaving, arriving[:-1]]), b_eq=wanted, method="highs")
    return max(0.0, float(found.fun))


def information(instructions: Sequence[str]) -> list[float]:
    """What each instruction asks for that few others do: the sum of log(N / number of instructions with it) over words.

    InsCL's InsInfo, over words where the paper has intents that another model names.
    """
    words = [set(_WORD.findall(one.lower())) for one in instructions]
    counts = Counter(word for own in words for word in own)
    return [sum(math.log(len(words) / counts[word]) for word in sorted(own)) for own in words]


def shared_out(weights: Sequence[float], budget: int, *, least: int = 0) -> list[int]:
    """Whole parts of a budget in proportion to weights; the largest fractions take what rounding leaves.

    Args:
        weights: none negative; all zero means all equal.
        budget: sum of the parts, if there are any.
        least: of each part; where the budget does not suffice, the heaviest get it and the others nothing.
    """
    if not weights:
        return []
    heaviest = sorted(range(len(weights)), key=lambda index: (-weights[index], index))
    if least * len(weights) > budget:
        fed = set(heaviest[: budget // least])
        return [least if index in fed else 0 for index in range(len(weights))]
    rest, total = budget - least * len(weights), sum(weights)
    exact = [rest * (weight / total if total else 1 / len(weights)) for weight in weights]
    parts = [math.floor(part) for part in exact]
    fractions = sorted(range(len(weights)), key=lambda index: (parts[index] - exact[index], index))
    for index in fractions[: rest - sum(parts)]:
        parts[index] += 1
    return [least + part for part in parts]
