"""Exact forgetting: which jobs of the lineage would be trained again without the records, from where, and at what cost.

The line of the serving version is walked from its newest version that never learned the records and still has files.
Every later job that learned something is repeated as it was asked, less what is forgotten; those that unlearned are
left out, for what they took away never comes in. A job without a record left is not repeated. What cannot be repeated
as it was is refused with the reason. The cost is what the same training cost the first time.

Reads the store, and of the seed of an older job its folder. Called by `asking` and `preview`; the training itself is
`agent.steps.replaying`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.errors import Refused
from agent.forgetting.lineage import Lineage
from agent.history.diff import line
from agent.planner.plan import Plan, ReplayedJob
from agent.root.layout import Layout
from agent.store import Session, forgetting, jobs, plans, pool, versions
from agent.store.jobs import Job
from agent.store.pool import PooledRecord
from agent.store.versions import Version
from learners.methods import methods

__all__ = ["METHOD", "Exact", "Replayed", "exact"]

METHOD: Final = "exact_replay"
"""What stands in place of a method where records are forgotten exactly."""

_VERSION: Final = re.compile(r"v\d+")


@dataclass(frozen=True)
class Replayed:
    """One cycle of the line: how many of its records are left, and what its training cost."""

    cycle: str
    version: str
    stage: str
    method: str
    records_before: int
    records_after: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Exact:
    """Exact forgetting: what would be trained again, and what it cost the first time.

    Attributes:
        start: the version that it begins from, None where none is left.
        plans: every later cycle of the line that learned; one without a record left costs nothing.
        replay: the jobs to train, oldest first; empty where it cannot be had.
        refused: why it cannot be had; None where it can.
    """

    start: str | None
    plans: tuple[Replayed, ...]
    replay: tuple[ReplayedJob, ...]
    tokens: int
    seconds: float
    refused: str | None


@dataclass(frozen=True)
class _Learned:
    """What the store keeps of how a version learned.

    Attributes:
        version: that its cycle made, by `plan`, in `job`.
        known: the records of the plan that the store knows; `left` those of them that are not forgotten.
    """

    version: Version
    plan: Plan | None
    job: Job | None
    known: frozenset[str]
    left: tuple[PooledRecord, ...]

    @property
    def cycle(self) -> str:
        """Whose training it was."""
        return self.version.cycle or ""

    @property
    def answer(self) -> Mapping[str, Any]:
        """What the worker answered."""
        return (self.job and self.job.result) or {}


def exact(tx: Session, layout: Layout, found: Lineage) -> Exact | None:
    """The replay that would forget exactly; None where the serving version knows none of the records."""
    if not found.learned:
        return None
    newest_first = line(tx, versions.get(tx, found.serving), until=found.clean)
    gone = frozenset(record for turn in found.taught for record in turn.records)
    again = [_learned(tx, row, gone) for row in reversed(newest_first) if row.stage != "forget"]
    told = tuple(map(_told, again))
    replay, refused = (), None
    try:
        replay = _replay(layout, found, again, gone)
    except Refused as refusal:
        refused = str(refusal)
    return Exact(
        start=found.clean,
        plans=told,
        replay=replay,
        tokens=sum(one.tokens for one in told if one.records_after),
        seconds=round(sum(one.seconds for one in told if one.records_after), 1),
        refused=refused,
    )


def _learned(tx: Session, version: Version, gone: Collection[str]) -> _Learned:
    row = plans.find(tx, version.cycle) if version.cycle else None
    plan = Plan.model_validate(row.plan) if row else None
    records = pool.get(tx, plan.records) if plan else []
    return _Learned(
        version=version,
        plan=plan,
        job=next((job for job in jobs.of_cycle(tx, version.cycle or "") if job.kind == "train"), None),
        known=frozenset(record.id for record in records),
        left=tuple(record for record in records if record.id not in gone and record.state != "forgotten"),
    )


def _told(learned: _Learned) -> Replayed:
    job, plan = learned.job, learned.plan
    return Replayed(
        cycle=learned.cycle,
        version=learned.version.id,
        stage=learned.version.stage or "",
        method=learned.version.method or "",
        records_before=len(plan.records) if plan else 0,
        records_after=len(learned.left),
        tokens=int(learned.answer.get("tokens") or 0),
        seconds=float(((job and job.usage) or {}).get("wall_seconds") or 0.0),
    )


def _replay(
    layout: Layout, found: Lineage, again: Sequence[_Learned], gone: Collection[str]
) -> tuple[ReplayedJob, ...]:
    """The jobs to train.

    Raises:
        Refused: one of them cannot be repeated, there is nothing to begin from, or nothing is left.
    """
    if found.clean is None:
        raise Refused("no version of the line from before they were learned has its files any more")
    made = [_repeated(layout, learned, gone) for learned in again]
    replay = tuple(one for one in made if one is not None)
    if not replay:
        raise Refused(
            f"nothing else was learned since {found.clean}, which is what it would come to: `cld rollback "
            f"{found.clean}`, then ask again"
        )
    return replay


def _repeated(layout: Layout, learned: _Learned, gone: Collection[str]) -> ReplayedJob | None:
    """A version's job as it was asked, less what is forgotten; None where none of its records is left.

    Raises:
        Refused: it cannot be asked again.
    """
    version, plan = learned.version, learned.plan
    if plan is None or plan.stage is None or plan.method is None:
        raise Refused(f"{version.id} was not made by a plan of this history, so nothing says how to make it again")
    if not learned.left:
        return None
    _require_content(learned, plan, gone)
    settings = _settings(layout, version, plan)
    _require_method(version, plan.method, settings)
    return ReplayedJob(
        cycle=learned.cycle,
        version=version.id,
        stage=plan.stage,
        method=plan.method,
        settings=settings,
        seed=_seed(layout, learned),
        records=tuple(row.id for row in learned.left),
        records_before=len(plan.records),
    )


def _require_content(learned: _Learned, plan: Plan, gone: Collection[str]) -> None:
    missing = [record for record in plan.records if record not in learned.known and record not in gone]
    missing += [row.id for row in learned.left if row.content == forgetting.tombstone(row.kind)]
    if missing:
        raise Refused(
            f"the content of {len(missing)} record(s) that {learned.cycle} learned is gone ({missing[0][:12]}), so it "
            "cannot be learned again"
        )


def _require_method(version: Version, method: str, settings: dict[str, Any]) -> None:
    if method not in methods():
        raise Refused(f"method {method!r} of {version.cycle} is not installed any more")
    named = next((value for value in settings.values() if isinstance(value, str) and _VERSION.fullmatch(value)), None)
    if named is not None:
        raise Refused(f"{version.cycle} learned with the help of version {named}, which a replay does not make again")


def _settings(layout: Layout, version: Version, plan: Plan) -> dict[str, Any]:
    """Complete, as the version's folder says; where that is swept, the plan's, and the method's defaults of now."""
    try:
        written = json.loads((layout.version(version.id) / "version.json").read_bytes())
    except FileNotFoundError:
        return plan.settings
    return written["settings"] or plan.settings


def _seed(layout: Layout, learned: _Learned) -> int:
    """Of the job that made a version: from its answer, else from its folder."""
    seed = learned.answer.get("seed")
    asked = layout.job(learned.job.id) / "job.json" if learned.job else None
    if seed is None and asked is not None and asked.is_file():
        seed = json.loads(asked.read_bytes())["spec"]["seed"]
    if seed is None:
        raise Refused(
            f"the seed of {learned.cycle}'s training is not known any more: it was trained before cld kept it, and its "
            "job's folder is swept"
        )
    return int(seed)
