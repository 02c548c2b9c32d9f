"""What a request would concern and cost: the facts behind `cld forget --dry-run`, `list` and `show`, as JSON values.

A preview shows the beginning of each record, since an operator must see what is meant; it is written nowhere. Called by
the command line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from agent.config import Config
from agent.forgetting.costs import unlearning
from agent.forgetting.kept import kept
from agent.forgetting.lineage import trace
from agent.forgetting.matching import Selection
from agent.forgetting.replay import Exact, exact
from agent.forgetting.ways import method_of, replay_told
from agent.history.cards import record_gist
from agent.root.layout import Layout
from agent.store import Session, forgetting, pool
from agent.store.columns import row_facts
from learners.parts.memory import ReplayMemory

__all__ = ["preview", "request", "requests"]


def preview(tx: Session, layout: Layout, config: Config, chosen: Selection, method: str | None) -> dict[str, Any]:
    """Which records, who learned them, where they still are, and what the two ways cost.

    Raises:
        NotFound: no such method, or no version serves yet.
    """
    rows = {row.id: row for row in pool.get(tx, chosen.ids)}
    found = trace(tx, chosen.ids)
    learned = [rows[record] for record in chosen.ids if record in found.learned]
    beside = kept(tx, [row.record for row in learned], config.forget.retain_records) if learned else None
    memory = {item.record.id for item in ReplayMemory.read(layout.version(found.serving) / "memory").items}
    whole, named = exact(tx, layout, found), method_of(config, method) if learned else None
    return {
        "records": [
            {**row_facts(rows[record], "content", "seq", "intake", "returns"), "gist": record_gist(rows[record]),
             "known": record in found.learned, "score": chosen.scores.get(record)}
            for record in chosen.ids
        ],
        "states": dict(Counter(row.state for row in rows.values())),
        "serving": found.serving,
        "known": len(learned),
        "in_pool": sum(row.state == "waiting" for row in rows.values()),
        "in_replay_memory": len(memory & set(chosen.ids)),
        "learned_by": [
            {"cycle": turn.cycle, "version": turn.version, "stage": turn.stage, "method": turn.method,
             "records": len(turn.records)}
            for turn in found.taught
        ],
        "versions": [{"version": row.id, "state": row.state, "pinned": row.pinned} for row in found.holders],
        "clean": found.clean,
        "neighbours": len(beside.records) if beside else 0,
        "say_the_same": [record.id for record in beside.same] if beside else [],
        "unlearning": asdict(unlearning(tx, config, named, learned)) if named else None,
        "exact": _exact(whole) if whole else None,
    }  # fmt: skip


def _exact(whole: Exact) -> dict[str, Any]:
    return {
        "start": whole.start,
        "plans": [asdict(one) for one in whole.plans],
        "tokens": whole.tokens,
        "seconds": whole.seconds,
        "refused": whole.refused,
        "told": replay_told(whole),
    }


def requests(tx: Session, limit: int) -> list[dict[str, Any]]:
    """The newest requests, newest first, each with whether it is certified."""
    return [_told(tx, row) for row in forgetting.listing(tx, limit)]


def request(tx: Session, request_id: str) -> dict[str, Any]:
    """A request with its certificate, and whether that is still what was written.

    Raises:
        NotFound: no such request.
    """
    row = forgetting.get(tx, request_id)
    certificate = forgetting.certificate_of(tx, request_id)
    told = row_facts(certificate, "seq", "request") if certificate else None
    whole = certificate is not None and forgetting.digest(certificate.document) == certificate.digest
    return {**_told(tx, row), "records": row.records, "certificate": told, "certificate_whole": whole}


def _told(tx: Session, row: forgetting.ForgetRequest) -> dict[str, Any]:
    certified = forgetting.certificate_of(tx, row.id) is not None
    counts: dict[str, Sequence[str]] = {"records": row.records, "learned": row.learned}
    facts = row_facts(row, "records", "learned", "number")
    return {**facts, **{f"{name}_count": len(ids) for name, ids in counts.items()}, "certified": certified}
