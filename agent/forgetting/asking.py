"""The verb `forget`: what an operator asks, as one transaction.

Records that no version knows are withdrawn and certified at once. For the others a cycle of stage `forget` begins; its
plan always waits for a person, whatever [approval] says, and nothing is trained before. Called through `agent.verbs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.calendar import month_start
from agent.config import Config
from agent.errors import NotFound, Refused
from agent.forgetting.closing import certify, redact
from agent.forgetting.costs import Exact, exact, unlearning
from agent.forgetting.lineage import Lineage, trace
from agent.planner.plan import Candidate, Plan
from agent.planner.settings import configured_settings
from agent.requests import Reply, Request
from agent.store import Session, control, cycles, forgetting, jobs, plans, pool, versions
from agent.store.pool import PooledRecord
from learners.methods import methods
from learners.nearest import did_you_mean

__all__ = ["forget", "method_of", "not_executed"]


def forget(tx: Session, request: Request) -> Reply:
    """Begin to forget the records that the row names by id."""
    rows = _records(tx, request)
    found = trace(tx, [row.id for row in rows])
    if request.args.get("exact"):
        raise Refused(not_executed(exact(tx, found)))
    learned = [row for row in rows if row.id in found.learned]
    if learned:
        return _unlearn(tx, request, rows, learned, found)
    if all(row.state == "forgotten" for row in rows):
        return _known_forgotten(tx, request, rows, found)
    return _withdraw(tx, request, rows, found)


def method_of(config: Config, named: str | None) -> str:
    """The method that unlearns: the one named, else [forget] method.

    Raises:
        NotFound: there is no such method of unlearning.
    """
    known = [name for name, info in methods().items() if "forget" in info.stages]
    method = named or config.forget.method
    if method not in known:
        hint = did_you_mean(method, known, "none is like it;")
        raise NotFound(f"{method!r} is no method of unlearning; {hint} there are {', '.join(known) or 'none'}")
    return method


def not_executed(found: Exact | None) -> str:
    """Why exact forgetting is only offered, and what it would be."""
    if found is None:
        return "no version that serves learned these records: forgetting them needs no training at all"
    cycles_ = ", ".join(one.cycle for one in found.plans)
    return (
        f"exact forgetting is offered and not executed: it would train the plans of {cycles_} again from {found.start} "
        f"without the records, {found.tokens} tokens and {found.seconds:.0f} s of training as they cost before. cld "
        "cannot chain these by itself yet; without --exact it unlearns"
    )


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


def _unlearn(
    tx: Session, request: Request, rows: Sequence[PooledRecord], learned: Sequence[PooledRecord], found: Lineage
) -> Reply:
    if (active := cycles.active(tx)) is not None:
        raise Refused(f"cycle {active.id} is {active.state}: one at a time; wait, or `cld cycle abort {active.id}`")
    if paused := control.paused(tx):
        raise Refused(f"cld is paused ({paused.reason}): {paused.fix} first")
    method = method_of(request.config, request.args.get("method"))
    plan = _plan(tx, request, learned, found, method)
    cycle = _begin(tx, request, plan, found)
    row = _create(tx, request, rows, learned, method, cycle)
    waiting = [other.id for other in rows if other not in learned]
    forgetting.withdraw(tx, waiting, row.id, request.who, request.why)
    message = (
        f"{len(learned)} record(s) that {found.serving} knows wait to be unlearned by {plan.name} in {cycle}"
        f"{f', {len(waiting)} others are withdrawn' if waiting else ''}: `cld plan show {cycle}`, then `cld approve` "
        "or `cld reject`"
    )
    return Reply(row.id, "applied", message, {"cycle": cycle, "method": method, **_counts(rows, learned)})


def _plan(tx: Session, request: Request, learned: Sequence[PooledRecord], found: Lineage, method: str) -> Plan:
    cost, whole = unlearning(tx, request.config, method, learned), exact(tx, found)
    _require_budget(tx, request.config, cost.tokens)
    chosen = Candidate(id=f"forget.{method}", action="train", stage="forget", method=method, cost_tokens=cost.tokens)
    other = Candidate(
        id="forget.exact_replay", action="train", cost_tokens=whole.tokens if whole else 0, refused=not_executed(whole)
    )
    return Plan(
        action="train",
        stage="forget",
        method=method,
        settings=configured_settings(request.config, chosen),
        records=tuple(row.id for row in learned),
        cost_tokens=cost.tokens,
        decided_by=request.who,
        reason=request.why,
        alternatives=(chosen, other),
    )


def _require_budget(tx: Session, config: Config, tokens: int) -> None:
    budget, spent = config.limits.monthly_train_tokens, jobs.spent(tx, month_start()).train_tokens
    if budget is not None and spent + tokens > budget:
        raise Refused(
            f"unlearning takes {tokens} tokens and {max(0, budget - spent)} are left this month: raise "
            "limits.monthly_train_tokens, or ask with fewer records"
        )


def _begin(tx: Session, request: Request, plan: Plan, found: Lineage) -> str:
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
