"""Workers of a whole cycle, scripted: what each is asked is real, what it answers follows from `Play.scores`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import cycle as loop
from agent.store import control, cycles, pool
from learners.durable import write_manifest
from learners.job import TrainResult, TrainSpec
from learners.records import Kind, read_records
from learners.versions import VersionSpec, write_spec
from monitors.job import (
    ChooseSpec,
    DiagnoseResult,
    DiagnoseSpec,
    EngineSettings,
    Gap,
    InformationKind,
    Measurement,
    MeasureResult,
    MeasureSpec,
    Role,
)
from monitors.probes.suites import Suite, load_suite, read_probe, write_suite
from tests.agent.fake_jobs import Scene
from tests.agent.operating import Operated

ROLES: tuple[Role, ...] = ("general", "instruction", "safety", "overrefusal")
ITEMS = 12


@dataclass(frozen=True)
class Scores:
    """Score of every item of a suite: of versions before the cycle, of its candidate, and of that at the re-check."""

    before: float = 1.0
    after: float = 1.0
    again: float = 1.0


def suite(name: str, role: Role, items: int = ITEMS) -> Suite:
    """A suite of two-choice probes."""
    probes = [
        read_probe({"id": f"{name}-{n}", "scorer": "choice", "prompt": f"{n}?", "choices": ["yes", "no"], "answer": 0})
        for n in range(items)
    ]
    return Suite(suite=name, role=role, items=tuple(probes))


class Play(Scene):
    """Plays cycles.

    Attributes:
        scores: by suite; a suite that is not named keeps everything, the targets of a cycle go from 0 to 1.
        holding_out: how many of the cycle's records the diagnosis holds out.
        choice: what the choosing model answers.
        leaving_out: name of a suite that the measuring worker forgets.
        failing: probes that the candidate fails, whatever its suite's score.
    """

    def __init__(self, world: Operated) -> None:
        super().__init__(world)
        for role in ROLES:
            write_suite(world.layout.suites / f"my-{role}.jsonl", suite(f"my-{role}", role))
        self.configure(
            probes={"suites": tuple(f"my-{role}" for role in ROLES)},
            planner={"backend": "rules"},
            gate={"resamples": 100, "general_loss": 0.5},
        )
        self.scores: dict[str, Scores] = {}
        self.holding_out = 0
        self.choice = ""
        self.leaving_out = ""
        self.failing: set[str] = set()
        self.information_kind: InformationKind = "domain"
        self.jobs.work |= {
            "diagnosing": self._diagnose,
            "planning": self._choose,
            "training": self._train,
            "measuring": self._measure,
            "watching": self._measure_again,
        }

    def begin(self, count: int = 8, kind: Kind = "text") -> str:
        """Start a cycle on new records; returns its id."""
        ids = self.world.fill_pool(count, kind)
        with self.world.store.write() as tx:
            waiting = {row.id for row in pool.get(tx, ids) if row.state == "waiting"}
            return cycles.create(tx, "operator", "ada", "test", waiting).id

    def until(self, state: str) -> cycles.Cycle:
        """Start a cycle if none is active, and advance it until it is in `state`."""
        if self.active() is None:
            self.begin()
        for _ in range(20):
            now = self.newest()
            if now.state == state or now.state in cycles.ENDINGS or not loop.advance(self.context):
                break
        found = self.newest()
        assert found.state == state, (found.state, found.reason)
        return found

    def active(self) -> cycles.Cycle | None:
        """The cycle under way."""
        with self.world.store.read() as tx:
            return cycles.active(tx)

    def newest(self) -> cycles.Cycle:
        """The newest cycle as it is now."""
        with self.world.store.read() as tx:
            return cycles.listing(tx, limit=1)[0]

    def records(self) -> set[str]:
        """States of all records."""
        with self.world.store.read() as tx:
            return {row.state for row in pool.get(tx, self.world.fill_pool(8))}

    def pauses(self) -> list[str]:
        """Reasons that hold."""
        with self.world.store.read() as tx:
            return [pause.reason for pause in control.pauses(tx)]

    def _diagnose(self, spec: DiagnoseSpec, output: Path) -> Mapping[str, Any]:
        made = suite(spec.suite, "target")
        write_suite(output / "probes.yaml", made)
        _write(output, _rows(made, spec.version.id, spec.engine, 0.0))
        ids = tuple(record.id for record in read_records(spec.records))
        gap = Gap(id="gap-1", topic="facts", information_kind=self.information_kind, severity=1.0,
                  evidence=("p1",), records=ids)  # fmt: skip
        return DiagnoseResult(
            gaps=(gap,), held_out=("a held-out sentence",), held_out_records=ids[: self.holding_out], probes=ITEMS,
            failed=ITEMS,
        ).model_dump(mode="json")  # fmt: skip

    def _choose(self, spec: ChooseSpec, _: Path) -> Mapping[str, Any]:
        return {"choice": self.choice, "reason": "it looked best"}

    def _train(self, spec: TrainSpec, output: Path) -> Mapping[str, Any]:
        folder = output / "version"
        (folder / "adapter").mkdir(parents=True)
        (folder / "adapter" / "weights.txt").write_text("learned")
        write_spec(
            folder,
            VersionSpec(id=spec.version_id, parent=spec.parent.name, base="v0", stage=spec.stage, method=spec.method),
        )
        digest = write_manifest(folder)
        count = len(list(read_records(spec.data)))
        return TrainResult(version_id=spec.version_id, records=count, replayed_records=0, tokens=10, steps=1,
                           first_loss=2.0, last_loss=1.0, digest=digest).model_dump()  # fmt: skip

    def _measure(self, spec: MeasureSpec, output: Path) -> Mapping[str, Any]:
        candidate = self.newest().candidate
        rows: list[Measurement] = []
        for file in map(load_suite, spec.suites):
            scores = self._scores(file.suite)
            for version in spec.versions:
                score = scores.after if version.id == candidate else scores.before
                rows += _rows(file, version.id, spec.engine, score)
        fresh = [row for row in rows if f"{row.version}/{row.suite}/{row.probe}" not in spec.skip]
        told = [row for row in fresh if row.suite != self.leaving_out]
        return _write(output, [self._failed(row) if row.version == candidate else row for row in told])

    def _failed(self, row: Measurement) -> Measurement:
        return row.model_copy(update={"score": 0.0}) if row.probe in self.failing else row

    def _measure_again(self, spec: MeasureSpec, output: Path) -> Mapping[str, Any]:
        (version,) = spec.versions
        rows: list[Measurement] = []
        for file in map(load_suite, spec.suites):
            rows += _rows(file, version.id, spec.engine, self._scores(file.suite).again)
        return _write(output, [row for row in rows if f"{row.version}/{row.suite}/{row.probe}" not in spec.skip])

    def empty(self, _: MeasureSpec, output: Path) -> Mapping[str, Any]:
        """A measuring worker that measures nothing."""
        return _write(output, [])

    def _scores(self, name: str) -> Scores:
        return self.scores.get(name, Scores(before=0.0) if name.endswith("-target") else Scores())


def _rows(file: Suite, version: str, engine: EngineSettings, score: float) -> list[Measurement]:
    return [
        Measurement(version=version, suite=file.suite, suite_digest=file.digest, role=file.role, probe=probe.id,
                    slice=probe.slice, scorer=probe.scorer, score=score, engine=engine.digest())
        for probe in file.items
    ]  # fmt: skip


def _write(output: Path, rows: Iterable[Measurement]) -> Mapping[str, Any]:
    lines = [row.model_dump_json() + "\n" for row in rows]
    (output / "measurements.jsonl").write_text("".join(lines), encoding="utf-8")
    return MeasureResult(measured=len(lines), seconds=1.0).model_dump()
