"""What a new version of a document did to each fact in it: a new one, an updated one, or one that stayed.

Owns the comparison of facts with the documents that a lineage learned before (`learners.parts.snapshots`, kept by the
method `diff`). The probes made from facts carry it as their slice, so that an update shows slice by slice whether what
changed was learned and whether what stayed is still known. Called by `monitors.gaps.diagnosing`.

Source: Jang et al. 2022, TemporalWiki (arXiv:2204.14211): changed and unchanged probes of two snapshots. Theirs compare
triples of a knowledge base and score perplexity; ours compare the sentences that facts stand in and are asked as any
probe is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from learners.parts import snapshots
from learners.records import Record
from monitors.gaps.cloze import Fact, sentences

__all__ = ["Change", "marked"]

Change = Literal["new", "updated", "unchanged"]


def marked(facts: Sequence[Fact], records: Sequence[Record], known: Mapping[str, str]) -> list[Fact]:
    """Say of each fact what became of it.

    Args:
        facts: of `records`.
        records: the new documents.
        known: earlier texts by `learners.parts.snapshots.key_of`; without any, nothing is said of any fact.
    """
    if not known:
        return list(facts)
    by_id = {record.id: record for record in records}
    return [replace(fact, change=_change(fact, by_id[fact.record], known)) for fact in facts]


def _change(fact: Fact, record: Record, known: Mapping[str, str]) -> Change:
    old = known.get(snapshots.key_of(record) or "")
    if old is None:
        return "new"
    news = snapshots.normal(snapshots.added(old, str(record.content["text"])))
    if snapshots.normal(fact.sentence) not in news:
        return "unchanged"
    stem = snapshots.normal(fact.stem)
    return "updated" if any(snapshots.normal(one).startswith(stem) for one in sentences(old)) else "new"
