"""From what an operator says to the records that are meant: ids, sources, or a question.

A question finds the records that hold it word for word, and then those nearest in meaning: the history's search names
the cycles that learned such things, and their records are compared with the question. Without the embedding model only
the words count. What was asked is kept as a hash, since it may say what is to be forgotten. Called by the command line,
which shows what it found; the request itself names ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.errors import InvalidValue, MissingDependency
from agent.history.cards import record_gist
from agent.history.index import Embed
from agent.history.search import search, shipped
from agent.store import Store, forgetting, pool
from agent.store.pool import PooledRecord
from monitors.privacy.membership import passage

if TYPE_CHECKING:
    from agent.root.layout import Layout

__all__ = ["Selection", "select"]

_CYCLES = 5


@dataclass(frozen=True)
class Selection:
    """Records and how they were chosen.

    Attributes:
        ids: in order of arrival; of a question, nearest first.
        asked: `by` and the values, as the request keeps it; a question as its SHA-256.
        scores: nearness of meaning by id, of those that a question found by it.
    """

    ids: tuple[str, ...]
    asked: dict[str, Any]
    scores: dict[str, float] = field(default_factory=dict[str, float])


def select(
    layout: Layout,
    store: Store,
    *,
    records: Sequence[str] = (),
    sources: Sequence[str] = (),
    query: str | None = None,
    limit: int = 20,
    embed: Embed | None = None,
) -> Selection:
    """The records that an operator means.

    Args:
        records: ids, or beginnings of ids that are one record's alone.
        sources: every record that came from one of these.
        query: words, or what the records are about.
        limit: most records that a question finds by meaning; those that hold its words come all.
        embed: texts to normalised vectors; the shipped embedder unless a test gives another.

    Raises:
        InvalidValue: none or more than one of the three ways was used.
        NotFound: an id is no record's, or several records'.
    """
    if sum(map(bool, (records, sources, query))) != 1:
        raise InvalidValue("say which records are meant in one way: --record ID..., --source NAME... or --query TEXT")
    if query:
        return _queried(layout, store, query, limit, embed)
    with store.read() as tx:
        found = forgetting.matching(tx, prefixes=records, sources=sources)
    asked = {"by": "record", "records": len(found)} if records else {"by": "source", "sources": sorted(sources)}
    return Selection(tuple(row.id for row in found), asked)


def _queried(layout: Layout, store: Store, query: str, limit: int, embed: Embed | None) -> Selection:
    with store.read() as tx:
        worded = forgetting.saying(tx, query)
    scores = _by_meaning(layout, store, query, limit, embed)
    ids = dict.fromkeys([*(row.id for row in worded), *scores])
    asked = {"by": "query", "query_sha256": hashlib.sha256(query.encode()).hexdigest()}
    return Selection(tuple(ids), asked, scores)


def _by_meaning(layout: Layout, store: Store, query: str, limit: int, embed: Embed | None) -> dict[str, float]:
    """Nearness by id of the nearest records of the cycles that the history names; nothing without the model."""
    try:
        hits = search(layout, store, query, limit=_CYCLES, embed=embed)
        with store.read() as tx:
            named = dict.fromkeys(hit.cycle for hit in hits if hit.cycle)
            rows = [row for cycle in named for row in pool.records_of(tx, cycle) if row.state != "forgotten"]
        vectors = (embed or shipped())([query, *map(_said, rows)])
    except MissingDependency:
        return {}
    nearness = (vectors[1:] @ vectors[0]).tolist()
    ranked = sorted(zip(nearness, rows, strict=True), key=lambda pair: -pair[0])[:limit]
    return {row.id: round(score, 4) for score, row in ranked}


def _said(row: PooledRecord) -> str:
    return f"{record_gist(row)} {passage(row.record)[1]}"
