"""When a cycle starts: enough records of one stage, quiet for a while, nothing that forbids it.

Owns that decision and the grouping of the pool by the stage that could learn it. Time here is monotonic: a clock that
is set back or forward starts nothing and delays nothing. Called by `agent.daemon` at every tick.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time

from agent.config import Config
from agent.context import DAEMON, Context
from agent.planner.candidates import STAGE_OF_KIND
from agent.store import Session, control, cycles, pool
from learners.job import Stage

__all__ = ["Trigger", "in_quiet_hours", "start_cycle"]


@dataclass
class Trigger:
    """Starts a cycle by itself when the pool is ripe."""

    context: Context
    _pool_size: int = field(default=-1, init=False)
    _changed_at: float = field(default=0.0, init=False)

    def turn(self, now_monotonic: float) -> bool:
        """Start a cycle if one is due; True if it did."""
        rules = self.context.config.cycle
        with self.context.store.read() as tx:
            size = sum(pool.counts(tx).values())
            busy = cycles.active(tx) is not None or bool(control.paused(tx)) or bool(pool.open_intakes(tx))
        if size != self._pool_size:
            self._pool_size, self._changed_at = size, now_monotonic
        quiet = now_monotonic - self._changed_at >= rules.quiet_seconds
        if busy or not quiet or size < rules.min_records or in_quiet_hours(rules.quiet_hours, datetime.now().time()):
            return False
        with self.context.store.write() as tx:
            started = start_cycle(tx, self.context.config, "pool", DAEMON, f"{size} records wait", rules.min_records)
        return started is not None


def start_cycle(tx: Session, config: Config, trigger: str, who: str, why: str, min_records: int) -> cycles.Cycle | None:
    """Create a cycle from the stage whose records have waited longest; None if none has `min_records`."""
    for ids in _groups(tx, config):
        if len(ids) >= min_records:
            return cycles.create(tx, trigger, who, why, ids[: config.cycle.max_records])
    return None


def _groups(tx: Session, config: Config) -> list[list[str]]:
    """Ids of the waiting records per stage, longest waiting first, each source held to its cap."""
    waiting = pool.waiting(tx, limit=10 * config.cycle.max_records)
    taken: dict[str, int] = {}
    groups: dict[Stage, list[str]] = {}
    for record in waiting:
        taken[record.source] = taken.get(record.source, 0) + 1
        source = config.sources.get(record.source)
        if source is None or taken[record.source] <= source.cap_records_per_cycle:
            groups.setdefault(STAGE_OF_KIND[record.kind], []).append(record.id)
    return list(groups.values())


def in_quiet_hours(hours: str | None, now: time) -> bool:
    """Whether `now` lies in `hours` ('22:00-06:00', local time, may cross midnight)."""
    if hours is None:
        return False
    first, last = (time.fromisoformat(part) for part in hours.split("-"))
    return first <= now < last if first < last else now >= first or now < last
