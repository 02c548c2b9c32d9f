"""How a request ends: the certificate, the state of its records, and the redaction.

Called inside the transaction that ends the request's cycle (`agent.steps.ending`), or of the command itself where no
version knows the records, so that a request is certified whole or not at all. A certificate names records by their
hash and holds no content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.forgetting.lineage import Lineage, trace
from agent.forgetting.remains import remains
from agent.history.cards import write_card
from agent.store import Session, cycles, decisions, forgetting, jobs, plans, verdicts
from agent.store.columns import now
from agent.store.cycles import Cycle
from agent.store.forgetting import ForgetRequest
from monitors.forgetting_job import ProveResult
from monitors.gate.forgotten import shown

__all__ = ["PROVING", "certify", "close", "proof_of", "redact"]

PROVING: Final = "proving"
"""Step of the job that proves that records were forgotten."""


def close(tx: Session, cycle: Cycle, *, serves: bool, who: str, why: str) -> None:
    """End the request that a cycle worked for, if it is one that forgets.

    Args:
        serves: whether the candidate serves; the records are forgotten only then.
    """
    request = forgetting.find_by_cycle(tx, cycle.id)
    if request is None:
        return
    if serves:
        certify(tx, request, who, why)
    else:
        forgetting.end(tx, request.id, "ended", who, f"cycle {cycle.id} ended without a version that forgot: {why}")


def certify(tx: Session, request: ForgetRequest, who: str, why: str) -> None:
    """Mark the records as forgotten, redact them if that was asked, and append the certificate."""
    forgetting.withdraw(tx, request.records, request.id, who, why)
    found = trace(tx, request.records)
    if request.redact:
        redact(tx, request.records, request.id, found, who, why)
    forgetting.certify(tx, request.id, _document(tx, request, found), who, why)
    forgetting.end(tx, request.id, "done", who, why)


def redact(tx: Session, ids: Sequence[str], request_id: str, found: Lineage, who: str, why: str) -> None:
    """Take the content of records out of the database, and out of the cards of the versions that learned them."""
    forgetting.redact(tx, ids, request_id, who, why)
    for version in found.holders:
        write_card(tx, version.id)


def proof_of(tx: Session, cycle: str) -> ProveResult | None:
    """What the proof of a cycle found; None where it could not be had."""
    answers = [job.result for job in jobs.of_cycle(tx, cycle) if job.step == PROVING and job.result]
    return ProveResult.model_validate(answers[0]) if answers else None


def _document(tx: Session, request: ForgetRequest, found: Lineage) -> dict[str, Any]:
    learned = frozenset(request.learned)
    worked = [turn.cycle for turn in found.unlearned]
    return {
        "request": request.id,
        "who": request.who,
        "why": request.why,
        "asked": request.asked,
        "asked_at": request.asked_at.isoformat(timespec="seconds"),
        "certified_at": now().isoformat(timespec="seconds"),
        "records": request.records,
        "never_learned": [record for record in request.records if record not in learned],
        "learned_by": [
            {"cycle": turn.cycle, "version": turn.version, "records": len(turn.records)} for turn in found.taught
        ],
        "serving": found.serving,
        "unlearned_by": [_unlearned(tx, cycle) for cycle in worked],
        "redacted": request.redact,
        "still_held": remains(tx, request.records, found, request.cycle, redacted=request.redact),
    }


def _unlearned(tx: Session, cycle_id: str) -> dict[str, Any]:
    """How a cycle unlearned: method, versions, whose word, the verdict, and the numbers of the proof."""
    cycle, plan, verdict = cycles.get(tx, cycle_id), plans.get(tx, cycle_id).plan, verdicts.get(tx, cycle_id)
    proof = proof_of(tx, cycle_id)
    return {
        "cycle": cycle.id,
        "method": cycle.method,
        "settings": plan.get("settings", {}),
        **_replay(plan),
        "versions": {"before": cycle.parent, "after": cycle.candidate},
        "approved_by": [
            {"who": word.who, "what": "version" if word.version else "plan", "why": word.why}
            for word in decisions.of_cycle(tx, cycle_id)
            if word.decision == "approve"
        ],
        "verdict": verdict.outcome if verdict else None,
        "reasons": list(verdict.verdict.get("reasons", ())) if verdict else [],
        "proof": proof.model_dump(mode="json") if proof else None,
        "told": shown(proof) if proof else "not proven",
    }


def _replay(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a plan forgot exactly, and then what was trained again, and from where."""
    jobs_: Sequence[Mapping[str, Any]] = plan.get("replay") or ()
    same = ("cycle", "version", "stage", "method", "settings", "seed", "records_before")
    return {
        "exact": bool(jobs_),
        "replayed_from": plan.get("replay_from"),
        "replayed": [{**{name: job[name] for name in same}, "records_after": len(job["records"])} for job in jobs_],
    }
