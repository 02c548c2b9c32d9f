"""Questions to history in plain words: nearness of meaning, within exact filters.

An entry is as near as the nearest of its passages.

"when did it learn the new refund policy?", "which update hurt arithmetic?", "what did source tickets teach?" The
command that asks does all the work itself (no daemon is needed), and imports no torch: see `monitors.embedding`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

from agent.errors import InvalidValue, MissingDependency
from agent.history.index import Embed, Entry, EntryKind, entries, load_vectors
from agent.store import Store

if TYPE_CHECKING:
    from agent.root.layout import Layout
    from monitors.embedding import Vectors

__all__ = ["Hit", "search", "shipped"]


@dataclass(frozen=True)
class Hit:
    """One answer.

    Attributes:
        score: nearness of meaning, at most 1.
        id, kind: the entry: `v3` (card), `c3/gap-1` (gap), `c3/lesson` (lesson).
        when: day and time in UTC.
        title: what, in one line; `text` tells all.
        why: the reason on record.
    """

    score: float
    id: str
    kind: EntryKind
    version: str | None
    cycle: str | None
    when: datetime
    title: str
    text: str
    why: str
    stage: str | None
    verdict: str | None
    sources: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The hit as JSON values."""
        return asdict(self) | {"when": self.when.isoformat(timespec="seconds"), "sources": list(self.sources)}


def search(
    layout: Layout,
    store: Store,
    question: str,
    *,
    limit: int = 5,
    stage: str | None = None,
    since: str | None = None,
    kind: str | None = None,
    source: str | None = None,
    verdict: str | None = None,
    embed: Embed | None = None,
) -> list[Hit]:
    """The entries nearest to `question` among those that pass every filter, nearest first.

    Args:
        since: a day such as 2026-05-01, or a moment in ISO 8601 (UTC where it names no zone).
        kind: `card`, `gap` or `lesson`.
        embed: texts to normalised vectors; the shipped embedder unless a test gives another.

    Raises:
        InvalidValue: a filter's value is not one there can be.
        MissingDependency: the embedding model is not installed.
        StoreError: the database cannot be read.
    """
    wanted = _Filter(stage, _moment(since), _kind(kind), source, verdict)
    with store.read() as tx:
        found = entries(tx)
    embed = embed or shipped()
    vectors, owners = load_vectors(layout.index, found, embed)
    passing = [row for row, owner in enumerate(owners) if wanted.passes(found[owner])]
    if not passing:
        return []
    most = limit * max(len(entry.passages) for entry in found)
    best: dict[int, float] = {}
    for score, row in _nearest(vectors[passing], embed([question]), most):
        best.setdefault(owners[passing[row]], score)
    return [_hit(found[owner], score) for owner, score in list(best.items())[:limit]]


@dataclass(frozen=True)
class _Filter:
    stage: str | None
    since: datetime | None
    kind: EntryKind | None
    source: str | None
    verdict: str | None

    def passes(self, entry: Entry) -> bool:
        return (
            self.stage in (None, entry.stage)
            and self.kind in (None, entry.kind)
            and self.verdict in (None, entry.verdict)
            and (self.since is None or entry.when >= self.since)
            and (self.source is None or self.source in entry.sources)
        )


def _nearest(vectors: Vectors, question: Vectors, most: int) -> list[tuple[float, int]]:
    """Score and row of the `most` vectors [n, 384] nearest to `question` [1, 384], nearest first."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)  # pyright: ignore[reportCallIssue]
    scores, rows = index.search(question, min(most, len(vectors)))  # pyright: ignore[reportCallIssue]
    return list(zip(scores[0].tolist(), rows[0].tolist(), strict=True))


def _hit(entry: Entry, score: float) -> Hit:
    return Hit(
        score=round(score, 4),
        id=entry.id,
        kind=entry.kind,
        version=entry.version,
        cycle=entry.cycle,
        when=entry.when,
        title=entry.title,
        text=entry.text,
        why=entry.why,
        stage=entry.stage,
        verdict=entry.verdict,
        sources=tuple(sorted(entry.sources)),
    )


def _moment(since: str | None) -> datetime | None:
    if since is None:
        return None
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise InvalidValue(f"{since!r} is no day: write it like 2026-05-01, or as a moment in ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _kind(kind: str | None) -> EntryKind | None:
    for known in get_args(EntryKind):
        if kind == known:
            return known
    if kind is None:
        return None
    raise InvalidValue(f"{kind!r} is no kind of entry; there are {', '.join(get_args(EntryKind))}")


def shipped() -> Embed:
    """The shipped embedder; it raises `MissingDependency` where its model is not installed."""
    # One thread: a question is short, and BLAS threads that wait for a busy training machine cost more than they do.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    from monitors.embedding import EmbedderMissing, embed

    def checked(texts: Sequence[str]) -> Vectors:
        try:
            return embed(texts)
        except EmbedderMissing as missing:
            raise MissingDependency(str(missing)) from None

    return checked
