"""Intake: from settled files in watched folders to records in the pool.

Owns the order scan -> claim -> read (a worker) -> record. Files are never moved or changed: the store remembers what
was read of which file, so a changed file is read again and only what is new in it counts. Parsing happens in a worker
process, so a hostile file can end that process and nothing else. Called by `agent.daemon.loop` at every tick.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent import config
from agent.context import DAEMON, Context
from agent.store import intakes
from agent.work.job_folder import last_progress
from agent.work.jobs import JobFailed
from learners.records import read_records
from monitors.intake_job import IntakeResult, IntakeSpec, Quarantined
from monitors.sources import FileStamp, Source, open_source

__all__ = ["Intake"]


@dataclass
class Intake:
    """Watches every configured source; holds only what settling needs (when a file was last seen to change)."""

    context: Context
    _sources: dict[str, Source] = field(default_factory=dict[str, Source], init=False)
    _refused: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]], init=False)

    def __post_init__(self) -> None:
        for name, source in self.context.config.sources.items():
            self._sources[name] = self._open(name, source)

    def turn(self, now_monotonic: float) -> bool:
        """Scan every source and go on with the oldest open intake, one worker at a time; True if records arrived."""
        for name, source in self._sources.items():
            self._claim(name, source, now_monotonic)
        with self.context.store.read() as tx:
            waiting = intakes.open_listing(tx)
        return bool(waiting) and self._read(waiting[0])

    def _open(self, name: str, source: config.Source) -> Source:
        folder = self.context.layout.root / source.path
        return open_source(source.kind, folder, settle_seconds=self.context.config.intake.settle_seconds)

    def _claim(self, name: str, source: Source, now_monotonic: float) -> None:
        def known(paths: Collection[str]) -> dict[str, FileStamp]:
            with self.context.store.read() as tx:
                stamps = intakes.known_files(tx, name, paths)
            return {path: FileStamp(stamp.size, stamp.mtime_ns) for path, stamp in stamps.items()}

        self._report_refused(name, source)
        if settled := source.scan(known, now_monotonic):
            files = [(str(file.path), file.stamp.size_bytes, file.stamp.mtime_ns) for file in settled]
            with self.context.store.write() as tx:
                intakes.claim(tx, name, files)

    def _report_refused(self, name: str, source: Source) -> None:
        """Say once per path what the last scan left out: a missing folder, links, devices, the cap on entries."""
        for path, reason in source.refused.items():
            if self._refused.get(name, {}).get(path) != reason:
                self.context.log.warning(f"{path}: {reason}", action="source.refused", source=name)
        self._refused[name] = dict(source.refused)

    def _read(self, intake: intakes.Intake) -> bool:
        job_id = f"intake-{intake.number}"
        limits = self.context.config.intake

        def build(_: Path) -> IntakeSpec:
            with self.context.store.read() as tx:
                files = intakes.files_of(tx, intake.number)
            return IntakeSpec(
                source=intake.source,
                files=tuple(Path(path) for path in files),
                max_line_bytes=limits.max_line_bytes,
                max_file_bytes=limits.max_file_bytes,
            )

        try:
            answer = self.context.jobs.ensure(job_id, "monitors", "intake", build, cycle=None, step="intake")
        except JobFailed as failure:
            with self.context.store.write() as tx:
                culprits = self._culprits(intakes.files_of(tx, intake.number), job_id)
                intakes.fail(tx, intake.number, str(failure), culprits)
            self.context.log.error(f"{job_id}: {failure}", action="intake.failed", source=intake.source)
            return False
        return answer is not None and self._record(intake, IntakeResult.model_validate(answer))

    def _culprits(self, files: Sequence[str], job_id: str) -> Sequence[str]:
        """The file that the worker was reading when it ended for the last time; all of them where it did not say."""
        progress = last_progress(self.context.layout.job(job_id))
        return files if progress is None else files[int(progress.done) :][:1] or files

    def _record(self, intake: intakes.Intake, result: IntakeResult) -> bool:
        output = self.context.layout.job(f"intake-{intake.number}") / "output"
        with self.context.store.write() as tx:
            counts = intakes.record(
                tx,
                intake.number,
                result,
                read_records(output / "records.jsonl"),
                _read_quarantined(output / "quarantine.jsonl"),
                DAEMON,
            )
        self.context.log.info(
            f"read {counts.read} record(s) from {intake.source}: {counts.kept} kept, {counts.duplicate} duplicate, "
            f"{counts.quarantined} quarantined",
            action="intake.recorded",
            source=intake.source,
        )
        return counts.kept > 0


def _read_quarantined(path: Path) -> Iterator[Quarantined]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Quarantined.model_validate(json.loads(line))
