"""The verb `forget`: what an operator asks, as one transaction.

Records that no version knows are withdrawn and certified at once. For the others a cycle of stage `forget` begins; its
plan always waits for a person, whatever [approval] says, and nothing is trained before. Called through
`agent.operators.verbs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.calendar import month_start
from agent.config import Config
from agent.errors import NotFound, Refused
from agent.forgetting.closing import certify, redact
from agent.forgetting.lineage import Lineage, trace
from agent.forgetting.ways import replayed, unlearned
from agent.planner.plan import Plan
from agent.requests import Reply, Request
from agent.store import Session, control, cycles, forgetting, jobs, plans, pool, versions
from agent.store.pool import PooledRecord

__all__ = ["forget"]


def forget(tx: Session, request: Request) -> Reply:
    """Begin to forget the records that the row names by id."""
    rows = _records(tx, request)
    found = trace(tx, [row.id for row in rows])
    learned = [row for row in rows if row.id in found.learned]
    if learned:
        return _begin(tx, request, rows, learned, found)
    if all(row.state == "forgotten" for row in rows):
        return _known_forgotten(tx, request, rows, found)
    return _withdraw(tx, request, rows, found)


def _records(tx: Session, request: Request) -> list[PooledRecord]:
    ids = [str(record) for record in request.args.get("records") or ()]
    if not ids:
        raise Refused("no record is meant: `cld forget --query TEXT --dry-run` looks for some")
    rows = pool.get(tx, ids)
    if len(rows) != len(set(ids)):
        missing = sorted(set(ids) - {row.id for row in rows})
        raise NotFound(f"there is no record {missing[0]!r}; `cld forget --query TEXT --dry-run` shows ids")
    if claimed := [row for row in rows if row.state == "claimed"]:
        raise Refused(
            f"{len(claimed)} of the records are being learned by {claimed[0].cycle}: wait, or `cld cycle abort`"
        )
    return rows


def _known_forgotten(tx: Session, request: Request, rows: Sequence[PooledRecord], found: Lineage) -> Reply:
    """All are forgotten already; what may be left to do is the redaction."""
    target = rows[0].id[:12]
    visible = [row.id for row in rows if row.content != forgetting.tombstone(row.kind)]
    if request.args.get("redact") and visible:
        redact(tx, visible, target, found, request.who, request.why)
        return Reply(target, "applied", f"the content of {len(visible)} forgotten record(s) is redacted")
    return Reply(target, "already", f"{len(rows)} record(s) are forgotten already; `cld forget list` shows by whom")


def _withdraw(tx: Session, request: Request, rows: Sequence[PooledRecord], found: Lineage) -> Reply:
    row = _create(tx, request, rows, (), None, None)
    certify(tx, row, request.who, request.why)
    known = f"; {len(found.holders)} version(s) that do not serve know some" if found.holders else ""
    message = f"{len(rows)} record(s) are withdrawn, and {found.serving} knows none of them{known}"
    return Reply(row.id, "applied", f"{message}; `cld forget show {row.id}` is the certificate", _counts(rows, ()))


def _begin(
    tx: Session, request: Request, rows: Sequence[PooledRecord], learned: Sequence[PooledRecord], found: Lineage
) -> Reply:
    """Start the cycle that forgets what is learned; withdraw the others."""
    if (active := cycles.active(tx)) is not None:
        raise Refused(f"cycle {active.id} is {active.state}: one at a time; wait, or `cld cycle abort {active.id}`")
    if paused := control.paused(tx):
        raise Refused(f"cld is paused ({paused.reason}): {paused.fix} first")
    plan = (replayed if request.args.get("exact") else unlearned)(tx, request, learned, found)
    _require_budget(tx, request.config, plan.cost_tokens)
    cycle = _create_cycle(tx, request, plan, found)
    row = _create(tx, request, rows, learned, plan.method, cycle)
    waiting = [other.id for other in rows if other not in learned]
    forgetting.withdraw(tx, waiting, row.id, request.who, request.why)
    message = (
        f"{len(learned)} record(s) that {found.serving} knows wait to be forgotten by {plan.name} in {cycle}"
        f"{f', {len(waiting)} others are withdrawn' if waiting else ''}: `cld plan show {cycle}`, then `cld approve` "
        "or `cld reject`"
    )
    return Reply(row.id, "applied", message, {"cycle": cycle, "method": plan.method, **_counts(rows, learned)})


def _require_budget(tx: Session, config: Config, tokens: int) -> None:
    budget, spent = config.limits.monthly_train_tokens, jobs.spent(tx, month_start()).train_tokens
    if budget is not None and spent + tokens > budget:
        raise Refused(
            f"forgetting takes {tokens} tokens and {max(0, budget - spent)} are left this month: raise "
            "limits.monthly_train_tokens, or ask with fewer records"
        )


def _create_cycle(tx: Session, request: Request, plan: Plan, found: Lineage) -> str:
    """A cycle that waits for a person, with its plan; a request makes no diagnosis."""
    cycle, anchor = cycles.create(tx, "forget", request.who, request.why), versions.anchor(tx).id
    plans.save(tx, cycle.id, plan.model_dump(mode="json"), plan.decided_by, plan.reason, who=request.who)
    told = f"{len(plan.records)} record(s) are to be forgotten"
    cycles.transition(tx, cycle.id, "diagnosing", "planning", request.who, told, parent=found.serving, anchor=anchor)
    reason = f"{told} ({plan.name}), which always waits for a person"
    cycles.transition(
        tx, cycle.id, "planning", "awaiting_approval", request.who, reason,
        stage=plan.stage, method=plan.method, resume_state="curating", reason=reason,
    )  # fmt: skip
    return cycle.id


def _create(
    tx: Session,
    request: Request,
    rows: Sequence[PooledRecord],
    learned: Sequence[PooledRecord],
    method: str | None,
    cycle: str | None,
) -> forgetting.ForgetRequest:
    return forgetting.create(
        tx,
        who=request.who,
        why=request.why,
        asked=dict(request.args.get("asked") or {"by": "record", "records": len(rows)}),
        records=[row.id for row in rows],
        learned=[row.id for row in learned],
        method=method,
        redact=bool(request.args.get("redact")),
        cycle=cycle,
    )


def _counts(rows: Sequence[PooledRecord], learned: Sequence[PooledRecord]) -> dict[str, Any]:
    return {"records": len(rows), "learned": len(learned), "withdrawn": len(rows) - len(learned)}
