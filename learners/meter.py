"""The pulse of a worker and the bill of its work.

Owns the heartbeat file, the watch for a vanished supervisor, and the measuring of time, memory and energy. Judges
nothing: the supervisor decides from the heartbeat whether the worker hangs. Called by `learners.worker`.

The heartbeat says that the process runs and its interpreter answers; work that goes round in circles is caught by
the wall-clock limit instead.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from learners.confinement import orphaned
from learners.job import Usage

if TYPE_CHECKING:
    from codecarbon import OfflineEmissionsTracker

__all__ = ["ENERGY_VARIABLE", "HEARTBEAT_SECONDS", "Meter"]

HEARTBEAT_SECONDS = 0.5
ENERGY_VARIABLE = "CLD_ENERGY_COUNTRY"

_ORPHANED_EXIT_CODE = 70
_ENERGY_DELAY_SECONDS = 1.0
_ENERGY_PERIOD_SECONDS = 15.0
_MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class Meter:
    """Beats while it is entered, and knows what the work has cost so far.

    Args:
        folder: the job folder; its `heartbeat` gets a number that grows with every beat.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "heartbeat"
        self._descriptor = -1
        self._over = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._started = time.monotonic()
        self._tracker: OfflineEmissionsTracker | None = None

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        self._write_beat()
        self._pulse.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._pulse.join()
        os.close(self._descriptor)

    def track_energy(self) -> None:
        """Begin the energy estimate where CLD_ENERGY_COUNTRY (ISO 3166 alpha-3) is set; returns at once.

        Called after the handler's imports. Looking at the hardware takes about two seconds beside the work, so jobs
        that are over within one are spared it.
        """
        country = os.environ.get(ENERGY_VARIABLE)
        if country:
            threading.Thread(target=self._start_tracker, args=(country,), name="energy", daemon=True).start()

    def usage(self) -> Usage:
        """What was used until now; `energy_kwh` is None for jobs that ended before the estimate began."""
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return Usage(
            wall_seconds=time.monotonic() - self._started,
            cpu_seconds=sum(use.ru_utime + use.ru_stime for use in (own, children)),
            peak_memory_bytes=max(own.ru_maxrss, children.ru_maxrss) * _MAXRSS_UNIT_BYTES,
            energy_kwh=self._energy_kwh(),
        )

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            if orphaned():
                os._exit(_ORPHANED_EXIT_CODE)
            self._write_beat()

    def _write_beat(self) -> None:
        """Any new number will do; nobody compares it with another machine's or process's clock."""
        os.pwrite(self._descriptor, b"%020d\n" % time.monotonic_ns(), 0)

    def _start_tracker(self, country: str) -> None:
        if self._over.wait(_ENERGY_DELAY_SECONDS):
            return
        from codecarbon import OfflineEmissionsTracker

        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        # Everything that could write or connect is named here: a stray .codecarbon.config must not turn it on.
        tracker = OfflineEmissionsTracker(
            country_iso_code=country,
            output_methods=[],
            emissions_endpoint=None,
            electricitymaps_api_token=None,
            allow_multiple_runs=True,
            tracking_mode="process",
            measure_power_secs=_ENERGY_PERIOD_SECONDS,
            log_level="critical",
        )
        tracker.start()
        self._tracker = tracker

    def _energy_kwh(self) -> float | None:
        if self._tracker is None:
            return None
        self._tracker.stop()
        # codecarbon logs its own failures instead of raising; an estimate must not cost the result either.
        data = getattr(self._tracker, "final_emissions_data", None)
        return None if data is None else float(data.energy_consumed)
