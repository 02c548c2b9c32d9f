"""Cards: the facts of a version and the text that people and the search index read, made from those facts alone.

A card says what a version learned (gaps, titles, kinds, sources), how (stage, method, plan), what it did to the
scores, and who let it through or stopped it. Titles come from ingested data: they are cut and stripped of control
characters, and nothing reads a card as an instruction. Called by the steps whenever one of its facts changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.store import Session, cycles, decisions, gaps, jobs, plans, pool, verdicts, versions
from agent.store.pool import PooledRecord
from agent.store.versions import Version

__all__ = ["card_facts", "card_text", "clean", "record_gist", "record_title", "write_card"]

_EXAMPLES = 8
_TITLE_CHARACTERS = 80
_GIST_CHARACTERS = 240
_SCORES = ("target", "general", "instruction", "safety", "overrefusal")


def write_card(tx: Session, version_id: str) -> None:
    """Make a version's card afresh and store it with its facts.

    Raises:
        NotFound: no such version.
    """
    facts = card_facts(tx, versions.get(tx, version_id))
    versions.save_card(tx, version_id, card_text(facts), facts)


def card_facts(tx: Session, version: Version) -> dict[str, Any]:
    """The facts of a version as JSON values."""
    facts: dict[str, Any] = {
        "version": version.id,
        "cycle": version.cycle,
        "parent": version.parent,
        "base": version.base,
        "stage": version.stage,
        "method": version.method,
        "created_at": version.created_at.isoformat(timespec="seconds"),
    }
    return facts | (_cycle_facts(tx, version.cycle) if version.cycle else {}) | _judgement(tx, version)


def card_text(facts: Mapping[str, Any]) -> str:
    """The card: one sentence a line, what was learned first, since an embedder reads only the beginning."""
    if not facts.get("cycle"):
        return f"{facts['version']}: the base model, before anything was learned."
    lines = [
        *(_forgot if facts["stage"] == "forget" else _learned)(facts),
        _norms_line(facts.get("norms") or ()),
        _scores_line(facts["scores"]),
        _audit_line(facts.get("audit")),
        f"{facts['version']} hurt {_listed(facts['hurt'])}." if facts["hurt"] else "",
        f"Verdict {facts['verdict']}: {'; '.join(facts['reasons'])}." if facts["verdict"] else "",
        *(f"{word['who']} said {word['decision']}: {word['why']}." for word in facts["decisions"]),
        f"Planned by {facts['decided_by']}: {facts['reason']}" if facts["decided_by"] else "",
    ]
    return "\n".join(clean(line) for line in lines if line)


def _learned(facts: Mapping[str, Any]) -> list[str]:
    topics = [gap["topic"] for gap in facts["gaps"]]
    return [
        f"{facts['version']} learned {_listed(topics) or 'what was in its data'}.",
        f"Data: {_listed(facts['titles'])}." if facts["titles"] else "",
        f"{facts['records']} records ({_counted(facts['kinds'])}) from {_counted(facts['sources'])}, "
        f"by {facts['stage']} with {facts['method']}, from {facts['parent']}, in cycle {facts['cycle']}.",
    ]


def _forgot(facts: Mapping[str, Any]) -> list[str]:
    """A card names no record that was forgotten; `cld forget list` does, by its hash."""
    how = f"with {facts['method']}, from {facts['parent']}, in cycle {facts['cycle']}"
    return [f"{facts['version']} forgot records that somebody asked to be forgotten, {how}."]


def record_title(record: PooledRecord) -> str:
    """What a record is about, in at most 80 characters: its title, or how its text or conversation begins."""
    content = record.content
    turns = content.get("messages") or content.get("prompt") or []
    said = next((turn["content"] for turn in turns if turn["role"] == "user"), "")
    return clean(str(content.get("title") or content.get("text") or said))[:_TITLE_CHARACTERS]


def record_gist(record: PooledRecord) -> str:
    """What a record says, in at most 240 characters: its title and text, or what was asked and answered."""
    content = record.content
    turns = content.get("messages") or content.get("chosen") or content.get("completion") or []
    said = content.get("text") or (turns[-1]["content"] if turns else "")
    title, text = record_title(record), clean(str(said))
    return text[:_GIST_CHARACTERS] if text.startswith(title) else f"{title}: {text}"[:_GIST_CHARACTERS]


def clean(text: str) -> str:
    """The text on one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _cycle_facts(tx: Session, cycle: str) -> dict[str, Any]:
    records = pool.records_of(tx, cycle)
    examples = _spread(records)
    plan = plans.find(tx, cycle)
    return {
        "trigger": cycles.get(tx, cycle).trigger,
        "gaps": [gap.model_dump(include={"topic", "information_kind", "severity"}) for gap in gaps.of_cycle(tx, cycle)],
        "records": len(records),
        "kinds": dict(Counter(record.kind for record in records)),
        "sources": dict(Counter(record.source for record in records)),
        "titles": list(dict.fromkeys(title for title in map(record_title, examples) if title)),
        "examples": list(dict.fromkeys(map(record_gist, examples))),
        "audit": next((job.result for job in jobs.of_cycle(tx, cycle) if job.kind == "audit"), None),
        "norms": plan.plan.get("norms", []) if plan else [],
        "decided_by": plan.decided_by if plan else None,
        "reason": plan.reason if plan else None,
    }


def _judgement(tx: Session, version: Version) -> dict[str, Any]:
    latest = verdicts.latest_of(tx, version.id)
    judged = verdicts.get(tx, version.cycle) if version.cycle else None
    verdict: Mapping[str, Any] = judged.verdict if judged else {}  # the re-check's holds reasons and no scores
    reasons = (latest.verdict.get("reasons") if latest else None) or verdict.get("reasons", ())
    suites: Sequence[Mapping[str, Any]] = verdict.get("suites", ())
    compared = [row for row in suites if row["against"] == "parent" and row.get("before") is not None]
    said = decisions.of_cycle(tx, version.cycle) if version.cycle else []
    columns = ("suite", "role", "before", "after", "unit")
    return {
        "verdict": latest.outcome if latest else None,
        "reasons": list(reasons),
        "scores": [{key: row[key] for key in columns if key in row} for row in compared],
        "hurt": _hurt(row for row in suites if row.get("outcome") == "fail" or row.get("broken_slices")),
        **{key: verdict.get(key) for key in ("gad", "ifd", "sd", "overrefusal", "target_before", "target_after")},
        "decisions": [{"who": row.who, "decision": row.decision, "why": row.why} for row in said],
    }


def _hurt(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    named = [" ".join([", ".join(row.get("broken_slices", ())), f"({row['suite']})"]).strip() for row in rows]
    return list(dict.fromkeys(named))


def _spread(records: Sequence[PooledRecord]) -> Sequence[PooledRecord]:
    """At most eight records, evenly from first to last, so that a long batch is not told by its beginning."""
    return records[:: max(1, -(-len(records) // _EXAMPLES))]


def _norms_line(norms: Sequence[Mapping[str, Any]]) -> str:
    """The norms that a version set out to learn or unlearn."""
    told = [
        f"{row['change']} {row['norm']} ({row['statement']})"
        + (f" in place of {row['supersedes']}" if row["supersedes"] else "")
        for row in norms
    ]
    return f"Norms: {'; '.join(told)}." if told else ""


def _scores_line(scores: Sequence[Mapping[str, Any]]) -> str:
    ordered = sorted(scores, key=lambda row: _SCORES.index(row["role"]))
    told = [f"{row['suite']} {row['before']:.2f} to {row['after']:.2f}" for row in ordered]
    return f"Scores: {', '.join(told)}." if told else ""


def _audit_line(audit: Mapping[str, Any] | None) -> str:
    """What `monitors.audit` found, in one sentence; the numbers are explained by `monitors.audit_job`."""
    if audit is None:
        return ""
    planted = audit["canaries"]["planted"]
    changes = [f"{row['suite']} {row['before']:.2f} to {row['after']:.2f}" for row in audit["suites"]]
    leaked = [f"{row['name']} at {row['exposure_bits']:.1f} bits" for row in planted if row["leaked"]]
    told = [
        f"{len(leaked)} of {len(planted)} canaries leaked ({', '.join(leaked) or 'none'})" if planted else "",
        _rare_strings(audit["rare_strings"]),
        _membership(audit["membership"]),
        f"{', '.join(changes)} (1.00 is what is wanted)" if changes else "",
    ]
    return f"Audit: {_listed([part for part in told if part])}."


def _rare_strings(found: Mapping[str, Any]) -> str:
    if not found["tested"]:
        return "no rare strings to look for"
    said, before = found["extracted"], found["extracted_by_reference"]
    return f"{said} of {found['tested']} rare strings extracted ({before} before)"


def _membership(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "membership not measured, no two records of these kinds are left that nobody learned"
    lowest = found.get("min_k_auc")
    beside = "" if lowest is None else f" and by Min-K% {lowest:.2f}"
    return (
        f"membership AUC {found['reference_auc']:.2f} +- {found['reference_auc_error']:.2f} against the parent, "
        f"0.50 being no trace (by loss {found['loss_auc']:.2f}{beside}, which easy texts raise too)"
    )


def _listed(words: Sequence[str]) -> str:
    return "; ".join(words)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
