"""Keeps the search index up to date: after each cycle, in a process of its own, at the lowest priority.

A question asked after many cycles would else wait until all of them are embedded. Nothing depends on it: a search
embeds what the index lacks, and a refresh that fails is logged and left to the next cycle's end. It is no job: it
reads the store, which workers never do, and its result is a cache. Called by `agent.daemon.loop` at every turn that is
not paused.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.context import Context
from agent.root.stores import store_url
from agent.store import cycles

__all__ = ["Refreshing"]

_END_SECONDS = 5.0
_TAIL_CHARACTERS = 300


@dataclass
class Refreshing:
    """Starts and collects the processes that refresh the index, one at a time.

    Args:
        program: what the interpreter runs, before the data root.
    """

    context: Context
    program: Sequence[str] = ("-m", "agent.history")
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _done: str | None = field(default=None, init=False)

    def turn(self) -> None:
        """Collect the one that ended; start one if a cycle ended since the last, or before this daemon came."""
        if self._process is not None and not self._collect(self._process):
            return
        with self.context.store.read() as tx:
            newest = next(iter(cycles.listing(tx, limit=1)), None)
        if newest is not None and newest.state in cycles.ENDINGS and newest.id != self._done:
            self._done = newest.id
            self._process = self._start()

    def stop(self) -> None:
        """End the one that runs; it writes whole files or none."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=_END_SECONDS)
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        known = {
            "CLD_STORE__URL": store_url(self.context.layout, self.context.config),  # a flag of ours may have named it
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        with self.context.layout.history_file.open("wb") as said:  # a pipe would be full after 64 KiB, and hold it up
            return subprocess.Popen(
                [sys.executable, "-P", *self.program, str(self.context.layout.root)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**os.environ, **known},
                start_new_session=True,
            )

    def _collect(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is None:
            return False
        if process.returncode != 0:
            said = self.context.layout.history_file.read_text(encoding="utf-8", errors="replace").strip()
            why = f"the search index was not brought up to date: {said[-_TAIL_CHARACTERS:]}"
            self.context.log.warning(why, action="history.not_refreshed")
        self._process = None
        return True
