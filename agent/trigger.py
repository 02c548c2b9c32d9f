"""When a cycle starts: enough records of one stage, quiet for a while, nothing that forbids it; or a norm was retired.

Owns that decision and the grouping of the pool by the stage that could learn it. Time here is monotonic: a clock that
is set back or forward starts nothing and delays nothing. Called by `agent.daemon.loop` at every tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time

from agent.config import Config
from agent.context import DAEMON, Context
from agent.disagreement import keep_back, stated
from agent.planner.candidates import STAGE_OF_KIND
from agent.store import Session, contested, control, cycles, intakes, pool, retirement
from agent.store.columns import now
from learners.job import Stage
from learners.parts.judgements import lacking

__all__ = ["Trigger", "in_quiet_hours", "start_cycle", "unlearnable"]


@dataclass
class Trigger:
    """Starts a cycle by itself when the pool is ripe."""

    context: Context
    _pool_size: int = field(default=-1, init=False)
    _changed_at: float = field(default=0.0, init=False)
    _in_vain: bool = field(default=False, init=False)

    def turn(self, now_monotonic: float) -> bool:
        """Start a cycle if one is due; True if it did."""
        rules = self.context.config.cycle
        with self.context.store.read() as tx:
            size = sum(pool.counts(tx).values())
            busy = cycles.active(tx) is not None or bool(control.paused(tx)) or bool(intakes.open_listing(tx))
        busy = busy or self.context.jobs.busy  # a sweep: one worker at a time is what the machine was promised
        busy = busy or in_quiet_hours(rules.quiet_hours, datetime.now().time())
        if not busy and self._let_go():
            return True
        if size != self._pool_size:
            self._pool_size, self._changed_at, self._in_vain = size, now_monotonic, False
        quiet = now_monotonic - self._changed_at >= rules.quiet_seconds
        if self._in_vain or busy or not quiet or size < rules.min_records:
            return False
        with self.context.store.write() as tx:
            started = start_cycle(tx, self.context.config, "pool", DAEMON, f"{size} records wait", rules.min_records)
            why_none = None if started else unlearnable(tx, self.context.config)
        # What waits in vain is looked at again when something arrives or is decided.
        self._in_vain = started is None
        if why_none:
            self.context.log.warning(why_none, action="pool.unlearnable")
        return started is not None

    def _let_go(self) -> bool:
        """Start a cycle on what taught a norm that was retired, however little; nothing more of it would arrive."""
        with self.context.store.read() as tx:
            norm = retirement.due(tx, now())
        if norm is None:
            return False
        why, most = f"norm {norm.id!r} was retired", self.context.config.cycle.max_records
        with self.context.store.write() as tx:
            ids = retirement.recall(tx, norm.id, most, DAEMON, why)
            if ids:
                cycles.create(tx, "norm", DAEMON, f"{why}: does the model follow it still?", ids)
        return bool(ids)


def start_cycle(tx: Session, config: Config, trigger: str, who: str, why: str, min_records: int) -> cycles.Cycle | None:
    """Create a cycle from the stage whose records have waited longest; None if none has `min_records`.

    What groups of people dispute is kept out of it, and judged answers wait until there is enough to compare.
    """
    if disputed := keep_back(tx, config):
        why = f"{why}; {disputed} more that groups disagree about stay out"
    for rows in _groups(tx, config):
        if len(rows) >= min_records and _lacking(tx, rows) is None:
            return cycles.create(tx, trigger, who, why, [row.id for row in rows[: config.cycle.max_records]])
    return None


def unlearnable(tx: Session, config: Config) -> str | None:
    """What must be added or decided before what is in the pool makes a cycle, whatever its number; None if nothing."""
    missing = [why for rows in _groups(tx, config) if (why := _lacking(tx, rows))]
    if disputed := len(contested.rows(tx, "contested", config.cycle.max_records)):
        missing.append(f"groups disagree about {disputed} record(s): `cld data disagreement` shows them")
    return "; ".join(missing) or None


def _lacking(tx: Session, rows: Sequence[pool.PooledRecord]) -> str | None:
    return lacking(stated(tx, [row for row in rows if row.kind in contested.JUDGED and "prompt" in row.content]))


def _groups(tx: Session, config: Config) -> list[list[pool.PooledRecord]]:
    """The waiting records per stage, longest waiting first, each source held to its cap.

    What names a norm is a group of its own: a person decides about it, and nothing else waits for that.
    """
    waiting = pool.waiting(tx, limit=10 * config.cycle.max_records)
    taken: dict[str, int] = {}
    groups: dict[tuple[Stage, bool], list[pool.PooledRecord]] = {}
    for record in waiting:
        taken[record.source] = taken.get(record.source, 0) + 1
        source = config.sources.get(record.source)
        if source is None or taken[record.source] <= source.cap_records_per_cycle:
            groups.setdefault((STAGE_OF_KIND[record.kind], "norm" in record.content), []).append(record)
    parts = [part for rows in groups.values() for part in _by_form(tx, config, rows)]
    return sorted(parts, key=lambda rows: rows[0].seq)


def _by_form(tx: Session, config: Config, rows: list[pool.PooledRecord]) -> list[list[pool.PooledRecord]]:
    """Pairs and judged answers as a cycle each, so that each gets its own method; together where either are too few."""
    labels = [row for row in rows if row.kind == "feedback"]
    pairs = [row for row in rows if row.kind != "feedback"]
    apart = min(len(labels), len(pairs)) >= config.cycle.min_records and _lacking(tx, labels) is None
    return [pairs, labels] if apart else [rows]


def in_quiet_hours(hours: str | None, now: time) -> bool:
    """Whether `now` lies in `hours` ('22:00-06:00', local time, may cross midnight)."""
    if hours is None:
        return False
    first, last = (time.fromisoformat(part) for part in hours.split("-"))
    return first <= now < last if first < last else now >= first or now < last
