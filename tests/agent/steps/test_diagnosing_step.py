"""Promises of diagnosing: the gaps and their evidence are stored once, with the versions they are about."""

from __future__ import annotations

from agent import cycle as loop
from agent.store import gaps, measurements
from learners.records import read_records
from monitors.probes.suites import write_suite
from tests.agent.fake_jobs import BROKEN
from tests.agent.steps.cycle_world import Play, suite


def test_gaps_and_scores_are_stored_and_the_cycle_knows_its_parent_and_anchor(play: Play):
    cycle = play.until("planning")
    assert (cycle.parent, cycle.anchor) == ("v0", "v0")
    with play.world.store.read() as tx:
        assert [gap.topic for gap in gaps.of_cycle(tx, "c1")] == ["facts"]
        assert len(measurements.of(tx, "v0")) == 12


def test_the_worker_is_given_the_records_of_the_cycle_and_nothing_else(play: Play):
    play.begin()
    play.world.fill_pool(9)
    play.until("planning")
    spec = play.jobs.specs["c1-diagnosing"]
    assert len(list(read_records(spec.records))) == 8
    assert (spec.suite, spec.version.id) == ("c1-target", "v0")


def test_only_target_suites_are_asked_and_the_worker_reads_copies(play: Play):
    write_suite(play.world.layout.suites / "mine.yaml", suite("mine", "target"))
    play.configure(probes={"suites": ("my-general", "mine.yaml", "safety")})
    play.until("planning")
    (copy,) = play.jobs.specs["c1-diagnosing"].suites
    assert copy.name == "mine.yaml" and copy.is_relative_to(play.world.layout.jobs)


def test_a_cycle_waits_while_its_worker_works(play: Play):
    del play.jobs.work["diagnosing"]
    play.begin()
    assert not loop.advance(play.context)
    assert play.newest().state == "diagnosing"


def test_a_job_that_is_given_up_fails_the_cycle_with_the_reason(play: Play):
    play.jobs.work["diagnosing"] = BROKEN
    ended = play.until("failed")
    assert "planted" in (ended.reason or "")
    assert play.records() == {"waiting"}
    assert play.log.of("cycle.failed")
