"""The search index: entries made from the store, and a cache of their vectors below ROOT/index.

    index/vectors.safetensors    one tensor `vectors` [n, 384], in the order of the manifest
    index/manifest.json          embedder, SHA-256 of the vectors' file, and [id, SHA-256] of each passage

An entry is found by any of its passages (the lines of a card, the records it was made from): a whole card in one
vector would blur what it says.

The store is the truth and the cache is trusted for nothing but speed: it is used only if the vectors' file has the
hash that the manifest names, is finite and of the right shape, and then only for texts whose hash is still the same;
everything else is embedded anew. FAISS holds the vectors in memory; its own file format is never read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agent.history.cards import card_facts, card_text, clean, record_gist
from agent.store import Session, cycles, gaps, lessons, pool, verdicts, versions
from agent.store.cycles import Cycle
from learners.durable import file_digest, write_atomic

if TYPE_CHECKING:
    from monitors.embedding import Vectors

__all__ = ["Embed", "Entry", "EntryKind", "entries", "load_vectors"]

EntryKind = Literal["card", "gap", "lesson"]
Embed = Callable[[Sequence[str]], "Vectors"]

_EVERY = 1_000_000
_RECORDS_OF_A_GAP = 3


@dataclass(frozen=True)
class Entry:
    """One thing that a question can find.

    Attributes:
        id: `v3`, `c3/gap-1`, `c3/lesson`.
        version: the version concerned; None for a cycle that trained none.
        title, text: for people.
        passages: what is embedded, each by itself.
        why: the reason on record: of the verdict, else of the cycle's ending.
        sources: names of the sources whose records the cycle read.
    """

    id: str
    kind: EntryKind
    version: str | None
    cycle: str | None
    when: datetime
    title: str
    text: str
    passages: tuple[str, ...]
    why: str
    stage: str | None
    verdict: str | None
    sources: frozenset[str]


def entries(tx: Session) -> list[Entry]:
    """Every card, gap and lesson of the store, oldest first."""
    book = _Book(tx)
    return [*book.cards(), *book.gaps(), *book.lessons()]


class _Book:
    """One reading of the store, looked up by cycle."""

    def __init__(self, tx: Session) -> None:
        self.tx = tx
        self.cycles = {cycle.id: cycle for cycle in cycles.listing(tx, _EVERY)}
        self.judged = {row.cycle: row for row in verdicts.listing(tx, _EVERY, phase="judging")}
        self.sources = pool.sources_of_cycles(tx)

    def cards(self) -> Iterable[Entry]:
        for row in reversed(versions.listing(self.tx, _EVERY)):
            facts = row.facts or card_facts(self.tx, row)
            lines = (row.card or card_text(facts)).split("\n")
            yield self._entry(
                row.id,
                "card",
                row.cycle,
                version=row.id,
                when=row.created_at,
                lines=lines,
                examples=facts.get("examples", ()),
            )

    def gaps(self) -> Iterable[Entry]:
        rows = gaps.listing(self.tx, _EVERY)
        wanted = {record for row in rows for record in row.records[:_RECORDS_OF_A_GAP]}
        gists = {record.id: record_gist(record) for record in pool.get(self.tx, sorted(wanted))}
        for row in rows:
            cycle = self.cycles[row.cycle]
            about = [gists[record] for record in row.records[:_RECORDS_OF_A_GAP] if record in gists]
            lines = [clean(f"gap in {row.information_kind}: {row.topic}"), *about]
            id, when = f"{row.cycle}/{row.gap}", cycle.started_at
            yield self._entry(id, "gap", row.cycle, version=cycle.candidate, when=when, lines=lines)

    def lessons(self) -> Iterable[Entry]:
        for row in reversed(lessons.listing(self.tx, _EVERY)):
            candidate, lines = self.cycles[row.cycle].candidate, [f"lesson: {clean(row.text)}"]
            id = f"{row.cycle}/lesson"
            yield self._entry(id, "lesson", row.cycle, version=candidate, when=row.at, lines=lines)

    def _entry(
        self,
        id: str,
        kind: EntryKind,
        cycle_id: str | None,
        *,
        version: str | None,
        when: datetime,
        lines: Sequence[str],
        examples: Sequence[str] = (),
    ) -> Entry:
        cycle = self.cycles.get(cycle_id or "")
        judged = self.judged.get(cycle_id or "")
        return Entry(
            id=id,
            kind=kind,
            version=version,
            cycle=cycle_id,
            when=when,
            title=lines[0],
            text="\n".join(lines),
            passages=tuple(dict.fromkeys(passage for passage in (*lines, *examples) if passage)),
            why=_why(cycle, judged),
            stage=cycle.stage if cycle else None,
            verdict=judged.outcome if judged else None,
            sources=frozenset(self.sources.get(cycle_id or "", ())),
        )


def _why(cycle: Cycle | None, judged: Any) -> str:
    reasons = judged.verdict.get("reasons", ()) if judged else ()
    return clean("; ".join(reasons) or (cycle.reason or "" if cycle else ""))


def load_vectors(folder: Path, found: Sequence[Entry], embed: Embed) -> tuple[Vectors, list[int]]:
    """Vectors of every passage of `found` [n, 384] and the entry each belongs to, from the cache where it holds.

    What the cache lacks is embedded and written there.
    """
    import numpy as np

    from monitors.embedding import DIMENSIONS

    owners = [row for row, entry in enumerate(found) for _ in entry.passages]
    passages = [passage for entry in found for passage in entry.passages]
    hashes = [hashlib.sha256(passage.encode()).hexdigest() for passage in passages]
    known, listed = _read_cache(folder)
    fresh = {digest: passage for digest, passage in zip(hashes, passages, strict=True) if digest not in known}
    if fresh:
        known |= dict(zip(fresh, embed(list(fresh.values())), strict=True))
    vectors = np.zeros((len(hashes), DIMENSIONS), dtype=np.float32)
    for row, digest in enumerate(hashes):
        vectors[row] = known[digest]
    wanted = [[found[owner].id, digest] for owner, digest in zip(owners, hashes, strict=True)]
    if listed != wanted:
        _write_cache(folder, wanted, vectors)
    return vectors, owners


def _read_cache(folder: Path) -> tuple[dict[str, Vectors], list[list[str]]]:
    """Vectors by the hash of their text, and the manifest's entries; nothing where anything is wrong with them."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from monitors.embedding import DIMENSIONS, NAME

    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        content = (folder / "vectors.safetensors").read_bytes()
        listed = [[str(id), str(digest)] for id, digest in manifest["entries"]]
        if manifest["embedder"] != NAME or manifest["sha256"] != hashlib.sha256(content).hexdigest():
            return {}, []
        vectors = load(content)["vectors"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return {}, []
    if vectors.shape != (len(listed), DIMENSIONS) or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        return {}, []
    return {digest: vectors[row] for row, (_, digest) in enumerate(listed)}, listed


def _write_cache(folder: Path, listed: list[list[str]], vectors: Vectors) -> None:
    from safetensors.numpy import save

    from monitors.embedding import NAME

    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "vectors.safetensors", save({"vectors": vectors}))
    manifest = {"embedder": NAME, "sha256": file_digest(folder / "vectors.safetensors"), "entries": listed}
    write_atomic(folder / "manifest.json", json.dumps(manifest))
