"""Promises of `agent.probing.sweep`: a sweep is its command's row, measured once, and never beside other work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from agent.context import Context, Log
from agent.measured import engine_settings
from agent.operators import commands
from agent.probing import sweep
from agent.store import commands as rows
from agent.store import control, measurements
from agent.work.jobs import JobFailed, JobRunner
from learners.job import Failure
from monitors.job import Measurement
from monitors.probes.suites import Suite, load_suite, shipped_suites, write_suite
from tests.agent.operating import Operated


@dataclass
class Worker:
    """A job runner whose worker finishes at the second look."""

    folder: Path
    fails: bool = False
    specs: list[Any] = field(default_factory=list[Any])
    kinds: list[str] = field(default_factory=list[str])
    looks: int = 0

    def ensure(self, job_id: str, package: str, kind: str, build: Any, **_: Any) -> Mapping[str, Any] | None:
        """As `JobRunner.ensure`."""
        self.looks += 1
        if self.fails:
            raise JobFailed(job_id, Failure(reason="crashed", message="planted"), 3)
        job = self.folder / job_id
        if not self.specs:
            job.mkdir(parents=True)
            self.specs.append(build(job))
            self.kinds.append(kind)
            return None
        (job / "output").mkdir(exist_ok=True)
        rows = [Measurement(version="v0", suite="general", suite_digest="d", role="general", probe=f"p{n}", slice="s",
                            scorer="choice", score=1.0, engine="e") for n in range(3)]  # fmt: skip
        (job / "output" / "measurements.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows))
        return {"measured": 3, "seconds": 1.0}


class Silence:
    """A log that says nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Nothing."""

    warning = error = info


def context(world: Operated, worker: Worker) -> Context:
    return Context(world.layout, world.config, world.store, cast(JobRunner, worker), cast(Log, Silence()))


def turn(context: Context) -> bool:
    """What the daemon does of commands and sweeps in a turn."""
    answered = commands.execute_pending(context)
    return sweep.advance(context) or answered


def asked(world: Operated, **args: str) -> int:
    with world.store.write() as tx:
        return rows.submit(tx, "probe_run", args, "ada").id


def answer(world: Operated, row: int) -> rows.Command:
    with world.store.read() as tx:
        return rows.get(tx, row)


def test_a_sweep_measures_the_serving_version_and_answers_its_row(operated: Operated):
    worker, row = Worker(operated.layout.jobs), asked(operated)
    turns = [turn(context(operated, worker)) for _ in range(3)]
    assert turns == [False, True, False]
    assert answer(operated, row).outcome == "applied"
    with operated.store.read() as tx:
        assert len(measurements.of(tx, "v0")) == 3
    (spec,) = worker.specs
    assert [version.id for version in spec.versions] == ["v0"] and len(spec.suites) == 4


def test_a_worker_reads_copies_of_the_suites(operated: Operated):
    worker = Worker(operated.layout.jobs)
    asked(operated)
    turn(context(operated, worker))
    assert all(path.is_relative_to(operated.layout.jobs) for path in worker.specs[0].suites)


def test_a_sweep_asks_a_version_for_what_its_line_learned_earlier(operated: Operated):
    operated.publish("v1", "v0", cycle := operated.cycle_in("planning", "no_action"))
    operated.serve("v1")
    suites = operated.layout.job(f"{cycle}-measuring") / "suites"
    suites.mkdir(parents=True)
    (suites / f"{cycle}-target.yaml").write_text(shipped_suites()["general"].read_text())
    worker = Worker(operated.layout.jobs)
    asked(operated)
    turn(context(operated, worker))
    assert worker.specs[0].suites[-1].name == f"{cycle}-target.yaml" and len(worker.specs[0].suites) == 5


@pytest.mark.parametrize("hindrance", ["pause", "cycle"])
def test_a_sweep_waits_while_cld_is_paused_or_a_cycle_works(operated: Operated, hindrance: str):
    worker, row = Worker(operated.layout.jobs), asked(operated)
    if hindrance == "cycle":
        operated.cycle_in("planning")
    else:
        with operated.store.write() as tx:
            control.pause(tx, "quiet", who="ada", fix="cld resume")
    turn(context(operated, worker))
    assert worker.looks == 0 and answer(operated, row).outcome is None


def test_a_sweep_that_cannot_be_measured_is_refused_with_the_reason(operated: Operated):
    row = asked(operated)
    turn(context(operated, Worker(operated.layout.jobs, fails=True)))
    found = answer(operated, row)
    assert found.outcome == "refused" and "planted" in (found.message or "") and json.dumps(found.data)


def test_an_aborted_cycle_loses_its_worker(operated: Operated):
    abandoned: list[str] = []
    worker = Worker(operated.layout.jobs)
    worker.abandon = lambda cycle, _: abandoned.append(cycle)  # pyright: ignore[reportAttributeAccessIssue]
    cycle = operated.cycle_in("planning")
    with operated.store.write() as tx:
        rows.submit(tx, "cycle_abort", {"target": cycle}, "ada")
    assert turn(context(operated, worker))
    assert abandoned == [cycle]


def test_a_sweep_measures_the_version_that_was_named(operated: Operated):
    operated.publish("v1", "v0")
    worker, _ = Worker(operated.layout.jobs), asked(operated, target="v1")
    turn(context(operated, worker))
    assert [version.id for version in worker.specs[0].versions] == ["v1"]


def test_what_a_few_steps_bring_back_is_a_job_of_its_own(operated: Operated):
    operated.publish("v1", "v0")
    operated.publish("v2", "v1")
    worker = Worker(operated.layout.jobs)
    with operated.store.write() as tx:
        rows.submit(tx, "probe_run", {"relearn": "general", "target": "v2", "since": "v1", "steps": 7}, "ada")
    turn(context(operated, worker))
    (spec,) = worker.specs
    assert worker.kinds == ["relearn"] and spec.steps == 7
    assert [version.id for version in spec.versions] == ["v2", "v1", "v0"]
    assert [version.id for version in spec.tuned] == ["v2", "v0"]
    assert spec.suite.is_relative_to(operated.layout.jobs)


def test_what_a_few_steps_bring_back_is_asked_of_the_suite_that_was_named_whatever_it_calls_itself(operated: Operated):
    operated.publish("v1", "v0")
    other = Suite(suite="another", role="general", items=load_suite(shipped_suites()["general"]).items[:8])
    write_suite(operated.layout.suites / "mine.yaml", other)
    worker = Worker(operated.layout.jobs)
    with operated.store.write() as tx:
        rows.submit(tx, "probe_run", {"relearn": "mine", "target": "v1", "since": "v0", "steps": 7}, "ada")
    turn(context(operated, worker))
    assert load_suite(worker.specs[0].suite) == other


def test_a_profile_measures_what_it_lacks_of_the_version_and_the_initial_model(operated: Operated):
    operated.publish("v1", "v0")
    suite = Suite(suite="piqa", role="general", items=load_suite(shipped_suites()["general"]).items[:3])
    write_suite(operated.layout.suites / "piqa.jsonl", suite)
    engine, probe = engine_settings(operated.config).digest(), suite.items[0].id
    row = Measurement(version="v0", suite="piqa", suite_digest=suite.digest, role="general", probe=probe, slice="s",
                      scorer="choice", score=1.0, engine=engine)  # fmt: skip
    with operated.store.write() as tx:
        measurements.add_many(tx, [row], "test")
    worker, _ = Worker(operated.layout.jobs), asked(operated, profile="trace", target="v1")
    turn(context(operated, worker))
    (spec,) = worker.specs
    assert [version.id for version in spec.versions] == ["v1", "v0"] and [path.stem for path in spec.suites] == ["piqa"]
    assert spec.skip == {f"v0/piqa/{probe}"}


def test_a_suite_in_disguises_is_measured_on_a_version_and_its_parent(operated: Operated):
    operated.publish("v1", "v0")
    worker, _ = Worker(operated.layout.jobs), asked(operated, hidden="general", target="v1")
    turn(context(operated, worker))
    (spec,) = worker.specs
    (path,) = spec.suites
    assert [version.id for version in spec.versions] == ["v1", "v0"]
    assert path.is_relative_to(operated.layout.jobs) and load_suite(path).suite == "general-disguised"
    assert not list(operated.layout.suites.glob("*disguised*"))
