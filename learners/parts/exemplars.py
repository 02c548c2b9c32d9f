"""Exemplars: records that a method keeps of each group (class, task) beside the replay memory, by a rule of its own.

Owns `memory/exemplars.jsonl` and two rules: those most typical of a group (k-means), and those at both ends of a score;
and which groups look alike.
The replay memory itself is a reservoir that no method steers; what a method must not lose it keeps here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learners.records import Record

if TYPE_CHECKING:
    import torch

__all__ = ["both_ends", "central", "look_alikes", "read", "write"]

_FILE = "exemplars.jsonl"
_ROUNDS = 20


def read(folder: Path) -> dict[str, list[Record]]:
    """Group -> its exemplars, in the order they were written; empty where no version kept any."""
    path = folder / _FILE
    found: dict[str, list[Record]] = {}
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                group, record = json.loads(line)
                found.setdefault(group, []).append(Record.model_validate(record))
    return found


def write(folder: Path, groups: Mapping[str, Sequence[Record]]) -> None:
    """Write them into a `memory/` folder that is being built, groups in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _FILE).open("w", encoding="utf-8") as file:
        for group, records in groups.items():
            for record in records:
                file.write(json.dumps([group, record.model_dump()], ensure_ascii=False) + "\n")


def central(vectors: torch.Tensor, count: int) -> list[int]:
    """The rows nearest to the centres of `count` clusters, ascending; all of them where there are no more.

    Args:
        vectors: rows x width.
    """
    import faiss

    if len(vectors) <= count:
        return list(range(len(vectors)))
    points: Any = vectors.float().cpu().numpy()
    means: Any = faiss.Kmeans(points.shape[1], count, niter=_ROUNDS, seed=1, min_points_per_centroid=1)
    means.train(points)
    chosen: list[int] = []
    for centre in means.centroids:
        nearest = ((points - centre) ** 2).sum(axis=1).argsort(kind="stable").tolist()
        chosen.append(next(row for row in nearest if row not in chosen))
    return sorted(chosen)


def both_ends(scores: Sequence[float], count: int) -> list[int]:
    """Half of the `count` with the lowest scores, half with the highest, ascending; all where there are no more."""
    order = sorted(range(len(scores)), key=lambda index: scores[index])
    low = order[: (count + 1) // 2]
    high = order[len(order) - count // 2 :] if count > 1 else []
    return sorted({*low, *high})


def look_alikes(features: Mapping[str, torch.Tensor], threshold: float) -> dict[str, list[str]]:
    """Group -> the groups whose mean feature is nearly its own, all means centred on their common one.

    Args:
        features: of each group, rows x width.
        threshold: cosine from which on two groups look alike.
    """
    import torch

    if len(features) < 3:  # two classes are opposite once they are centred
        return {name: [] for name in features}
    names = list(features)
    means = torch.stack([features[name].mean(dim=0) for name in names])
    means = torch.nn.functional.normalize(means - means.mean(dim=0), dim=1)
    near = means @ means.T > threshold
    return {
        name: sorted(other for place, other in enumerate(names) if near[own, place] and place != own)
        for own, name in enumerate(names)
    }
