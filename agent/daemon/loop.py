"""The daemon: a loop on the monotonic clock that looks at persisted state and does the next thing.

Owns the order of one turn, the signals, and the life of the process. Nothing of a cycle lives here: kill it anywhere
and the next start goes on. It imports no torch; workers do what is heavy.

One turn: operators' commands, sweeps and house-keeping, then (unless paused) the base model, intake, the trigger and
one step of the active cycle, then the limits of workers that none of these asked for, then the watchdog. A turn that
raises is logged, pauses the loop with the reason, and does not end the daemon: an operator finds the cause in
`cld status`.
"""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

from agent import bootstrap, calendar, cycle
from agent.config import Config
from agent.context import DAEMON, Context
from agent.daemon.housekeeping import Housekeeping
from agent.daemon.logs import open_log
from agent.daemon.notify import notify
from agent.errors import StoreBusy
from agent.history.refreshing import Refreshing
from agent.intake import Intake
from agent.operators import commands
from agent.probing import sweep
from agent.root.layout import Layout
from agent.root.lock import lock
from agent.root.stores import migrate, store_url
from agent.store import Store, StoreFull, StoreUnreachable, control
from agent.trigger import Trigger
from agent.work.jobs import JobRunner

__all__ = ["STOPPED_AT_ONCE", "Daemon", "open_context", "run"]

STOPPED_AT_ONCE = 130
"""Exit code after a second signal: workers were killed, nothing was waited for."""

_TICK_SECONDS = 0.5
_IDLE_TICK_SECONDS = 2.0
_GRACE_SECONDS = 20.0


def run(layout: Layout, config: Config) -> int:
    """Run the daemon of a data root until a signal ends it.

    Returns:
        The exit code: 0 after a graceful stop.

    Raises:
        AlreadyRunning: another process holds the data root.
        StoreError: the database cannot be opened.
    """
    with lock(layout):
        context = open_context(layout, config)
        _migrate(context)
        daemon = Daemon(context)
        with daemon.signals():
            return daemon.loop()


def open_context(layout: Layout, config: Config) -> Context:
    """What every step works with, made from a data root and its configuration."""
    layout.create()
    store = Store(store_url(layout, config))
    environment = {"CLD_ENERGY_COUNTRY": config.energy.country} if config.energy.enabled else {}
    runner = JobRunner(layout, config, store, environment)
    return Context(layout, config, store, runner, open_log(layout.log_file, config.log.level))


def _migrate(context: Context) -> None:
    """Bring the database up to date; a server that is not there yet, as while a machine starts, is waited for."""
    said = False
    while True:
        try:
            return migrate(context.layout, context.store)
        except StoreUnreachable as error:
            if context.store.path is not None:
                raise
            if not said:
                context.log.warning(f"waiting for the database: {error}", action="daemon.waiting")
            said = True
            time.sleep(_IDLE_TICK_SECONDS)


class Daemon:
    """The loop over one data root.

    Args:
        context: what the steps work with.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._intake = Intake(context)
        self._trigger = Trigger(context)
        self._housekeeping = Housekeeping(context)
        self._refreshing = Refreshing(context)
        self._stopping = False
        self._said = ""
        # Wakes the loop from a signal handler: unlike an Event, a SimpleQueue may be used there while it is waited on.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def loop(self) -> int:
        """Turn until a signal asks to stop, then end the workers gracefully."""
        scheduler = calendar.start(self._context)
        self._context.log.info(
            f"the daemon watches {self._context.layout.root}", action="daemon.started", pid=os.getpid()
        )
        notify("READY=1")
        try:
            while not self._stopping:
                moved = self._guarded_turn(time.monotonic())
                notify("WATCHDOG=1")
                busy = moved or self._context.jobs.busy or self._context.reader.busy
                with suppress(queue.Empty):
                    self._wake.get(timeout=0.0 if moved else _TICK_SECONDS if busy else _IDLE_TICK_SECONDS)
        finally:
            notify("STOPPING=1")
            scheduler.shutdown(wait=False)
            self._refreshing.stop()
            self._context.jobs.stop_all(_GRACE_SECONDS)
        self._context.log.info("the daemon stopped", action="daemon.stopped")
        return 0

    def turn(self, now_monotonic: float) -> bool:
        """Do what there is to do now; True if anything moved on."""
        context = self._context
        moved = commands.execute_pending(context)
        moved |= sweep.advance(context)
        self._housekeeping.turn(now_monotonic)
        with context.store.read() as tx:
            paused = control.paused(tx) is not None
        moved |= not paused and self._work(now_monotonic)
        context.jobs.watch_unasked()
        return moved

    def _work(self, now_monotonic: float) -> bool:
        """What a pause forbids: the base model, intake, and cycles."""
        context = self._context
        if not bootstrap.advance(context):
            return False
        self._refreshing.turn()
        moved = self._intake.turn(now_monotonic)
        moved |= self._trigger.turn(now_monotonic)
        return cycle.advance(context) or moved

    @contextmanager
    def signals(self) -> Generator[None]:
        """First SIGTERM or SIGINT: end after this turn. Second: at once."""

        def handle(number: int, _: FrameType | None) -> None:
            if self._stopping:
                try:
                    self._context.jobs.stop_all(grace_seconds=0.0)
                finally:  # the turn that was interrupted may hold the database
                    os._exit(STOPPED_AT_ONCE)
            self._stopping = True
            self._wake.put(None)
            self._context.log.info(f"stopping on {signal.Signals(number).name}", action="daemon.stopping")

        previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _guarded_turn(self, now_monotonic: float) -> bool:
        """A turn; one that fails turn after turn in the same way, e.g. for want of the database, is logged once."""
        try:
            moved = self.turn(now_monotonic)
        except Exception as error:
            told = f"a turn failed: {error!r}"
            again, self._said = told == self._said, told
            if not again:
                self._context.log.error(told, action="daemon.fault", exc_info=error)
            self._pause(f"fault: {type(error).__name__}: {error}", again)
            return False
        self._said = ""
        return moved

    def _pause(self, reason: str, again: bool) -> None:
        try:
            with self._context.store.write() as tx:
                control.pause(tx, reason, who=DAEMON, fix="cld logs, then cld resume")
        except (StoreFull, StoreBusy, StoreUnreachable) as error:  # it may pass; until then every turn fails
            if not again:
                self._context.log.error(f"the pause was not recorded: {error}", action="daemon.fault")
        notify(f"STATUS=paused: {reason[:200]}")
