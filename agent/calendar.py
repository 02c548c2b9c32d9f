"""Calendar times: probe sweeps and cron cycles. APScheduler is a clock here and nothing more.

Its jobs live in memory (its persistent stores unpickle) and are made anew from the configuration at every start; all
that a job does is to submit an operator's command row, which the loop takes up. What must keep its cadence whatever
the wall clock does (the data watch) does not come here.
"""

from __future__ import annotations

from datetime import UTC, datetime

from apscheduler.jobstores.memory import MemoryJobStore  # pyright: ignore[reportMissingTypeStubs]
from apscheduler.schedulers.background import BackgroundScheduler  # pyright: ignore[reportMissingTypeStubs]
from apscheduler.triggers.cron import CronTrigger  # pyright: ignore[reportMissingTypeStubs]

from agent.context import Context
from agent.store import commands

__all__ = ["month_start", "start"]


def start(context: Context) -> BackgroundScheduler:
    """A running scheduler with the configured calendar times; call `shutdown` on it to end."""
    scheduler = BackgroundScheduler(
        jobstores={"default": MemoryJobStore()},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600},
    )
    times = {"cycle_run": context.config.cycle.cron, "probe_run": context.config.probes.sweep_cron}
    for verb, cron in times.items():
        if cron is not None:
            scheduler.add_job(_submit, CronTrigger.from_crontab(cron), args=(context, verb), id=verb)
    scheduler.start()
    return scheduler


def _submit(context: Context, verb: str) -> None:
    """Ask once: while the last one still waits (the loop is paused), another would only pile up."""
    with context.store.write() as tx:
        if any(row.verb == verb for row in commands.pending(tx)):
            return
        commands.submit(tx, verb, {}, who="calendar")


def month_start() -> datetime:
    """The first moment of this month, UTC: budgets are counted from it."""
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
