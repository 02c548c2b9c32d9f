"""What the demo did, read back from the store: one row per cycle, and whether every ending was the right one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agent.store import Session, Store, cycles, jobs, plans, verdicts
from agent.store.cycles import Cycle
from learners.durable import write_atomic

__all__ = ["Check", "CycleRow", "Report", "cycle_rows", "write_report"]


@dataclass(frozen=True)
class CycleRow:
    """One line of the table. Scores and deltas are in [-1, 1]; deltas are candidate minus parent.

    Attributes:
        records: records that were trained on.
        target_before, target_after: mean score on the cycle's own probes, of the parent and of the candidate.
        gad, ifd, sd: change of the general, instruction and safety suites (TRACE's three deltas).
        over_refusal: change of the rate of refused harmless requests; here positive is damage.
        verdict: the gate's word; `ending` is how the cycle ended.
        energy_kwh: codecarbon's estimate, None where it is off.
    """

    cycle: str
    version: str | None
    stage: str | None
    method: str | None
    decided_by: str | None
    records: int
    target_before: float | None
    target_after: float | None
    gad: float | None
    ifd: float | None
    sd: float | None
    over_refusal: float | None
    verdict: str | None
    ending: str
    seconds: float
    energy_kwh: float | None


@dataclass(frozen=True)
class Check:
    """One thing that had to hold, and what was found."""

    name: str
    ok: bool
    found: str


@dataclass
class Report:
    """Everything the demo measured; `ok` is the exit code's source."""

    cycles: list[CycleRow] = field(default_factory=list[CycleRow])
    checks: list[Check] = field(default_factory=list[Check])
    answers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there were checks and all of them hold."""
        return bool(self.checks) and all(check.ok for check in self.checks)


def cycle_rows(store: Store) -> list[CycleRow]:
    """A row for every cycle of the store, first to last."""
    with store.read() as tx:
        return [_row(tx, cycle) for cycle in reversed(cycles.listing(tx))]


def write_report(report: Report, path: Path) -> None:
    """Write demo-report.json."""
    document = {"ok": report.ok, **asdict(report)}
    write_atomic(path, json.dumps(document, indent=2) + "\n")


def _row(tx: Session, cycle: Cycle) -> CycleRow:
    verdict_row = verdicts.get(tx, cycle.id)
    verdict = verdict_row.verdict if verdict_row else {}
    plan = plans.find(tx, cycle.id)
    energies = [job.usage["energy_kwh"] for job in jobs.of_cycle(tx, cycle.id) if job.usage]
    known = [energy for energy in energies if energy is not None]
    return CycleRow(
        cycle=cycle.id,
        version=cycle.candidate,
        stage=cycle.stage,
        method=cycle.method,
        decided_by=plan.decided_by if plan else None,
        records=len(plan.plan["records"]) if plan else 0,
        target_before=verdict.get("target_before"),
        target_after=verdict.get("target_after"),
        gad=verdict.get("gad"),
        ifd=verdict.get("ifd"),
        sd=verdict.get("sd"),
        over_refusal=verdict.get("overrefusal"),
        verdict=verdict_row.outcome if verdict_row else None,
        ending=cycle.state,
        seconds=_seconds(cycle),
        energy_kwh=sum(known) if known else None,
    )


def _seconds(cycle: Cycle) -> float:
    return (cycle.ended_at - cycle.started_at).total_seconds() if cycle.ended_at else 0.0


def summary(checks: Sequence[Check]) -> str:
    """One sentence over all checks."""
    wrong = [check.name for check in checks if not check.ok]
    return "every ending was the right one" if not wrong else f"wrong: {'; '.join(wrong)}"
