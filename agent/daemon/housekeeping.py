"""House-keeping of the daemon's turn: free disk, the month's energy, and what retention may delete.

Owns the pauses that the machine itself causes (promise P8) and their end, and the deletion of versions and job
folders that nothing refers to any more. It runs once a minute. It deletes no database row, ever: a swept version
keeps its card, its measurements and its place in the lineage.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from agent.calendar import month_start
from agent.context import DAEMON, Context
from agent.store import control, cycles, deployment, jobs, versions

__all__ = ["Housekeeping"]

_EVERY_SECONDS = 60.0
_DISK = "disk"
_ENERGY = "energy"


@dataclass
class Housekeeping:
    """Keeps the machine within its limits and the data root within its retention."""

    context: Context
    _last: float | None = field(default=None, init=False)
    _told: set[Path] = field(default_factory=set[Path], init=False)

    def turn(self, now_monotonic: float) -> None:
        """Look after everything if a minute has passed."""
        if self._last is not None and now_monotonic - self._last < _EVERY_SECONDS:
            return
        self._last = now_monotonic
        self.watch_disk(shutil.disk_usage(self.context.layout.root).free)
        self._watch_energy()
        self.sweep_versions()
        self.context.jobs.end_forsaken()
        self.sweep_jobs()

    def watch_disk(self, free_bytes: int) -> None:
        """Pause while less than the reserve is free; resume by itself when it is free again."""
        reserve = self.context.config.limits.disk_reserve_bytes
        reason = f"{_DISK}: {free_bytes} bytes are free, less than limits.disk_reserve_bytes = {reserve}"
        self._hold(_DISK, free_bytes < reserve, reason, "free some space; cld resumes by itself")

    def _watch_energy(self) -> None:
        limit = self.context.config.limits.monthly_energy_kwh
        with self.context.store.read() as tx:
            spent = jobs.spent(tx, month_start()).energy_kwh
        reason = f"{_ENERGY}: an estimated {spent:.3f} kWh this month, limits.monthly_energy_kwh = {limit}"
        self._hold(_ENERGY, limit is not None and spent >= limit, reason, "raise limits.monthly_energy_kwh")

    def _hold(self, cause: str, broken: bool, reason: str, fix: str) -> None:
        with self.context.store.read() as tx:
            held = [pause.reason for pause in control.pauses(tx) if pause.code == cause]
        if broken and not held:
            with self.context.store.write() as tx:
                control.pause(tx, reason, who=DAEMON, fix=fix)
            self.context.log.warning(f"paused: {reason}", action="daemon.paused")
        if held and not broken:
            with self.context.store.write() as tx:
                control.resume(tx, who=DAEMON, why=f"the cause is gone: {held[0]}", code=cause)
            self.context.log.info(f"resumed: {cause} is well again", action="daemon.resumed")

    def sweep_versions(self) -> None:
        """Delete the folders of versions beyond retention that nothing protects."""
        keep = self.context.config.retention.keep_versions
        with self.context.store.read() as tx:
            protected, known = versions.protected(tx), versions.held(tx)
        held = [version for version in known if version.state in ("candidate", "kept")]
        on_disk = {folder.name for folder in self.context.layout.versions.glob("v*")}
        self._name_unknown(on_disk - {version.id for version in known})
        gone = [version.id for version in known if version.state == "swept" and version.id in on_disk]
        newest = {version.id for version in sorted(held, key=lambda version: version.number)[-keep:]}
        for version in held:
            if version.id not in protected | newest:
                with self.context.store.write() as tx:
                    versions.mark(tx, version.id, "swept", DAEMON, f"beyond retention.keep_versions = {keep}")
                gone.append(version.id)
        for version_id in gone:  # those of before, too: cld may have been killed between the mark and the files
            self._delete(self.context.layout.version(version_id))

    def _name_unknown(self, names: set[str]) -> None:
        """Say once which folders no version has: of a cycle that was aborted before what it made was registered."""
        with self.context.store.read() as tx:
            making = cycles.active(tx) is not None or deployment.find(tx) is None
        for folder in () if making else map(self.context.layout.versions.joinpath, sorted(names)):
            if folder not in self._told:
                self._told.add(folder)
                told = f"{folder} is no version that cld knows, and it will never serve; rm -r {folder} if you do not"
                self.context.log.warning(f"{told} need it", action="version.unknown")

    def sweep_jobs(self) -> None:
        """Delete the folders of finished jobs beyond retention; their results are in the database."""
        present = {folder.name for folder in self.context.layout.jobs.iterdir()}
        with self.context.store.read() as tx:
            old = jobs.disposable(tx, present, keep=self.context.config.retention.keep_jobs)
        for job_id in old:
            self._delete(self.context.layout.job(job_id))

    def _delete(self, folder: Path) -> None:
        """Delete a folder, be it gone already; what cannot be deleted is said once, and tried again."""
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            if folder not in self._told:
                self._told.add(folder)
                told = f"{folder} cannot be deleted, though retention keeps it no more: {error}; cld tries on"
                self.context.log.warning(told, action="retention.not_deleted")
