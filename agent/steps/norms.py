"""Norms in a cycle: which preferences may be learned, what a person must be shown, and which suites must hold.

The registry (`agent.store.norms`) is what people decided; a preference only names a norm. What names one that nobody
registered, or that holds no more, is set aside before anything is measured. A plan that touches a norm tells the person
who must approve it what the norm says, whose place it takes and how it is probed. The gate holds the suites of norms in
force; those of norms that ended are measured and reported. Shared by the steps; changes nothing but records' states.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from agent.config import Config
from agent.context import DAEMON, Context
from agent.measured import suite_file
from agent.planner.plan import PlannedNorm
from agent.root.layout import Layout
from agent.steps.ending import end
from agent.store import Session, norms, plans, pool
from agent.store.columns import now
from agent.store.cycles import Cycle
from learners.nearest import did_you_mean
from learners.records import Record
from monitors.gate.policy import GatePolicy, SuitePolicy
from monitors.job import Role
from monitors.probes.suites import Suite, load_suite

__all__ = ["guarded", "moment", "objection", "planned", "set_aside", "superseded", "targets"]

_SHOWN_PROBES = 3


def _named(record: Record) -> str | None:
    """The norm that a record names, None for all that name none."""
    return record.content.get("norm")


def set_aside(context: Context, cycle: Cycle) -> bool:
    """Set aside what a cycle must not learn by the registry as it is now; True if that ended the cycle."""
    with context.store.read() as tx:
        rows = [row for row in pool.records_of(tx, cycle.id) if row.state == "claimed"]
        against: dict[str, list[str]] = {}
        for row in rows:
            if (why := objection(tx, row.record, now())) is not None:
                against.setdefault(why, []).append(row.id)
    if not against:
        return False
    nothing_left = sum(map(len, against.values())) == len(rows)
    with context.store.write() as tx:
        for why, ids in against.items():
            pool.set_aside(tx, cycle.id, ids, why)
        if nothing_left:
            end(tx, context.config, cycle, "no_action", DAEMON, f"nothing may be learned: {'; '.join(against)}")
    for why, ids in against.items():
        context.log.warning(f"cycle {cycle.id}: {len(ids)} preference(s) set aside: {why}", action="norm.refused")
    return nothing_left


def objection(tx: Session, record: Record, at: datetime) -> str | None:
    """Why a record must not be learned, by the registry; None where nothing speaks against it."""
    name, change = _named(record), record.content.get("change", "add")
    if name is None:
        return None
    norm = norms.find(tx, name)
    if norm is None:
        verb = "revise OLD" if change == "revise" else "add"
        fix = f"`cld values {verb} {name:.64} STATEMENT` does"
        return f"nobody registered norm {name!r:.80}; {did_you_mean(name, [one.id for one in norms.listing(tx)], fix)}"
    ended = norm.valid_to is not None and norm.valid_to <= at
    if change == "retire":
        return None if ended else f"norm {name!r} is not retired: `cld values retire {name}` before it is unlearned"
    if not ended:
        return None
    heir = norms.heirs(tx).get(name)
    told = f"{heir.id!r} took its place: name that one" if heir else "it was retired: `cld values add` a new one"
    return f"norm {name!r} holds no more; {told}"


def planned(tx: Session, layout: Layout, records: Iterable[Record]) -> tuple[PlannedNorm, ...]:
    """The norms that a plan touches, with what a person must see of them."""
    counts: dict[tuple[str, str], int] = {}
    for record in records:
        if (name := _named(record)) is not None:
            key = (name, record.content.get("change", "add"))
            counts[key] = counts.get(key, 0) + 1
    return tuple(_planned(tx, layout, name, change, count) for (name, change), count in sorted(counts.items()))


def _planned(tx: Session, layout: Layout, name: str, change: str, count: int) -> PlannedNorm:
    norm = norms.get(tx, name)
    old = norms.get(tx, norm.supersedes) if norm.supersedes else None
    probes = load_suite(suite_file(layout, norm.suite)).entries if norm.suite else ()
    return PlannedNorm(
        norm=name,
        change=change,
        statement=norm.statement,
        scope=tuple(norm.scope),
        approver=norm.approver,
        supersedes=old.id if old else None,
        superseded_statement=old.statement if old else None,
        suite=norm.suite,
        probes=len(probes),
        examples=tuple(probe.text for probe in probes[:_SHOWN_PROBES]),
        records=count,
    )


def superseded(tx: Session, touched: Iterable[PlannedNorm]) -> dict[str, list[str]]:
    """Norm -> every norm before it in its line, whose remembered preferences its method drops."""
    found: dict[str, list[str]] = {}
    for one in touched:
        line: list[str] = []
        older = norms.get(tx, one.norm).supersedes
        while older is not None:
            line.append(older)
            older = norms.get(tx, older).supersedes
        if line:
            found[one.norm] = line
    return found


def moment(tx: Session, cycle: Cycle) -> datetime:
    """The moment as of which a cycle reads the registry: when its plan was made, so that equal stores judge equally."""
    plan = plans.find(tx, cycle.id)
    return plan.at if plan is not None else now()


def guarded(tx: Session, cycle: Cycle, policy: GatePolicy, config: Config) -> GatePolicy:
    """The policy by which norms in force lose at most [gate] norm_loss, and norms that ended may fall.

    What the operator says of a suite ([gate.suites]) stands, but for one whose norm ended: that one only reports.
    """
    suites = dict(policy.suites)
    for suite, holds in norms.standing(tx, moment(tx, cycle)).items():
        own = suites.get(suite, SuitePolicy())
        loss = config.gate.norm_loss if own.loss is None else own.loss
        suites[suite] = own.model_copy(update={"loss": loss, "by_estimate": True} if holds else {"dry_run": True})
    return policy.model_copy(update={"suites": suites})


def targets(tx: Session, cycle: Cycle, suites: Sequence[Suite]) -> list[str]:
    """Names of the suites that a cycle must win: those of role `target`, but of norms only the ones it learns.

    A cycle that only retires norms wins by letting them go (`agent.steps.letting_go`), and every suite must hold.
    """
    touched = plans.norms_of(tx, cycle.id)
    if touched and all(one["change"] == "retire" for one in touched):
        return []
    learned = {one["suite"] for one in touched if one["change"] != "retire"}
    of_norms = {norm.suite for norm in norms.listing(tx)}
    wanted: Role = "target"
    return [one.suite for one in suites if one.role == wanted and (one.suite in learned or one.suite not in of_norms)]
