"""A data root as an operator has one, with what tests do to it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from agent.config import Config
from agent.measured import engine_settings
from agent.root.layout import Layout
from agent.root.settings import load
from agent.root.stores import open_store
from agent.store import Session, Store, cycles, decisions, deployment, intakes, measurements, versions
from agent.store.cycles import CycleState
from learners.durable import write_manifest
from learners.records import Kind, Record, record_id
from learners.versions import VersionSpec, write_spec
from monitors.intake_job import IntakeFile, IntakeResult
from monitors.job import Measurement
from monitors.probes.suites import Suite

_CONFIGS: dict[tuple[str, ...], Config] = {}
"""What was read, by all that it was read from: hundreds of roots have the same configuration."""


def _config(layout: Layout) -> Config:
    variables = sorted(f"{name}={value}" for name, value in os.environ.items() if name.upper().startswith("CLD_"))
    source = (layout.config_file.read_text(encoding="utf-8"), *variables)
    if source not in _CONFIGS:
        _CONFIGS[source] = load(layout)
    return _CONFIGS[source]


class Operated:
    """A data root with what tests do to it.

    Attributes:
        layout, config, store: of the root.
    """

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.config: Config = _config(self.layout)
        self.store: Store = open_store(self.layout, self.config)

    def publish(self, version_id: str, parent: str | None, cycle: str | None = None) -> None:
        """Write and register a whole version."""
        folder = self.layout.version(version_id)
        folder.mkdir(mode=0o700)
        base = "v0" if parent else None
        (folder / "weights.txt").write_text(f"the weights of {version_id}")
        (folder / ("adapter" if base else "weights")).mkdir()
        write_spec(folder, VersionSpec(id=version_id, parent=parent, base=base))
        digest = write_manifest(folder)
        with self.store.write() as tx:
            versions.register(tx, version_id, int(version_id[1:]), parent, base, digest, "cit", "replay", cycle)

    def serve(self, version_id: str, cause: deployment.Cause = "promote", who: str = "ada") -> None:
        """Let a version serve, on a person's word unless it is the first."""
        with self.store.write() as tx:
            now = deployment.find(tx)
            if cause == "promote":
                decisions.record(tx, None, "approve", who, "test", version=version_id)
            deployment.move(tx, version_id, now.generation if now else 0, who, "test", cause)

    def measure(self, version_id: str, suite: Suite, scores: Iterable[float]) -> None:
        """Store a version's scores on the items of a suite, in their order, as the configured engine finds them."""
        engine = engine_settings(self.config).digest()
        rows = [
            Measurement(
                version=version_id, suite=suite.suite, suite_digest=suite.digest, role=suite.role, probe=probe.id,
                slice=probe.slice, scorer=probe.scorer, score=score, engine=engine,
            )
            for probe, score in zip(suite.items, scores, strict=False)
        ]  # fmt: skip
        with self.store.write() as tx:
            measurements.add_many(tx, rows, "test")

    def serving(self) -> tuple[str, int]:
        """Version and generation that serve."""
        with self.store.read() as tx:
            now = deployment.current(tx)
            return now.version, now.generation

    def fill_pool(self, count: int, kind: Kind = "text") -> list[str]:
        """Put records into the pool; returns their ids."""
        contents = [{"text": f"fact {number}"} for number in range(count)]
        records = [Record(id=record_id(kind, c), source="inbox", kind=kind, content=c, origin="a") for c in contents]
        with self.store.write() as tx:
            intake = intakes.claim(tx, "inbox", [("/inbox/a.txt", 10, 20)])
            file = IntakeFile(
                path="/inbox/a.txt", size_bytes=10, mtime_ns=20, sha256="f" * 64, read=count, kept=count, duplicate=0,
                quarantined=0,
            )  # fmt: skip
            intakes.record(tx, intake.number, IntakeResult(files=(file,)), records, [])
        return [record.id for record in records]

    def cycle_in(self, *states: CycleState, resume: str | None = None) -> str:
        """A cycle walked through `states`, from `diagnosing`; its candidate is published when it is measured."""
        with self.store.write() as tx:
            cycle = cycles.create(tx, "operator", "ada", "test")
        for state in states:
            self._step(cycle.id, state, resume)
        return cycle.id

    def _step(self, cycle_id: str, to: CycleState, resume: str | None) -> None:
        candidate = f"v{cycle_id[1:]}"
        if to == "measuring":
            self.publish(candidate, "v0", cycle_id)
        with self.store.write() as tx:
            self._transition(tx, cycle_id, to, candidate if to == "measuring" else None, resume)

    def _transition(
        self, tx: Session, cycle_id: str, to: CycleState, candidate: str | None, resume: str | None
    ) -> None:
        columns = {"candidate": candidate, "parent": "v0", "anchor": "v0"} if candidate else {}
        if to == "awaiting_approval":
            columns["resume_state"] = resume or "curating"
        state = cycles.get(tx, cycle_id).state
        cycles.transition(tx, cycle_id, state, to, "daemon", "test", **columns)
