"""From failures to gaps: what fails together, about one thing, becomes one gap with a name.

Failures and records are embedded in one space (MiniLM). Failures of one information kind are clustered greedily by
cosine similarity, most typical first; the records that bear on a gap are those its probes were made from and those
near its centre.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from learners.records import Record
from monitors.job import Gap, InformationKind

__all__ = ["Failure", "find_gaps"]

_SAME_TOPIC = 0.35
_BEARS_ON = 0.45
_TOPIC_WORDS = 4
_STOP_WORDS = frozenset(
    """
    a an and are as at be blank by can do does fill for from has have how i in into is it its me my not of on or our
    that the their they this to was were what when where which who will with you your
    """.split()  # noqa: SIM905 - words read better than a column of quotes
)

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Failure:
    """A probe that the version was asked.

    Attributes:
        record: id of the record that the probe was made from; None for a probe of a standing suite.
        passed: passed probes count in a gap's severity.
    """

    probe: str
    text: str
    kind: InformationKind
    record: str | None
    passed: bool


def find_gaps(asked: Sequence[Failure], records: Sequence[Record], embed: Embed) -> tuple[Gap, ...]:
    """The gaps that the failed ones of `asked` show, most severe first.

    Args:
        asked: every probe that was asked, passed ones too.
        embed: texts to normalised vectors [n, d].
    """
    if all(probe.passed for probe in asked):
        return ()
    vectors = embed([probe.text for probe in asked])
    near = _Near(records, embed)
    groups = [
        group
        for kind in dict.fromkeys(probe.kind for probe in asked)
        for group in _group([i for i, probe in enumerate(asked) if probe.kind == kind], vectors)
    ]
    gaps = [_gap(number, [asked[i] for i in group], vectors[group], near) for number, group in enumerate(groups, 1)]
    return tuple(sorted((gap for gap in gaps if gap.severity > 0), key=lambda gap: -gap.severity))


def _group(members: list[int], vectors: NDArray[np.float32]) -> list[list[int]]:
    """Greedy clusters: the member most like all others takes those near it, then the rest again."""
    groups: list[list[int]] = []
    while members:
        similar = vectors[members] @ vectors[members].T
        centre = int(similar.sum(axis=1).argmax())
        near = similar[centre] >= _SAME_TOPIC
        near[centre] = True
        groups.append([member for member, taken in zip(members, near, strict=True) if taken])
        members = [member for member, taken in zip(members, near, strict=True) if not taken]
    return groups


def _gap(number: int, probes: list[Failure], vectors: NDArray[np.float32], near: _Near) -> Gap:
    failed = [probe for probe in probes if not probe.passed]
    own = {probe.record for probe in probes if probe.record is not None}
    return Gap(
        id=f"g{number}",
        topic=_topic([probe.text for probe in probes]),
        information_kind=probes[0].kind,
        severity=len(failed) / len(probes),
        evidence=tuple(probe.probe for probe in failed),
        records=tuple(sorted(own | near.to(vectors.mean(axis=0)))),
    )


class _Near:
    """Which records lie near a point: a FAISS index of inner products over their embeddings."""

    def __init__(self, records: Sequence[Record], embed: Embed) -> None:
        self._ids = [record.id for record in records]
        if not records:
            return
        vectors = embed([record_text(record) for record in records])
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(vectors)  # pyright: ignore[reportCallIssue]

    def to(self, centre: NDArray[np.float32]) -> set[str]:
        if not self._ids:
            return set()
        unit = (centre / max(float(np.linalg.norm(centre)), 1e-12)).reshape(1, -1)
        similar, found = self._index.search(unit, len(self._ids))  # pyright: ignore[reportCallIssue]
        return {self._ids[i] for i, score in zip(found[0], similar[0], strict=True) if score >= _BEARS_ON}


def record_text(record: Record) -> str:
    """What a record is about, for embedding: its text, or its conversation's words."""
    if record.kind == "text":
        return record.content["text"]
    turns = record.content.get("messages") or [*record.content["prompt"], *record.content.get("chosen", ())]
    return "\n".join(str(turn["content"]) for turn in turns)


def _topic(texts: Sequence[str]) -> str:
    """The words most of `texts` share, commonest first."""
    words = Counter(
        word
        for text in texts
        for word in dict.fromkeys(re.findall(r"[a-z][a-z'-]{2,}", text.lower()))
        if word not in _STOP_WORDS
    )
    return " ".join(word for word, _ in words.most_common(_TOPIC_WORDS)) or "unnamed"
