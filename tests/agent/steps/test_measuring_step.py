"""Promises of measuring: the same suites for all compared versions, copied, and nothing measured twice."""

from __future__ import annotations

import pytest

from agent.daemon.loop import Daemon
from agent.store import measurements
from monitors.probes.suites import SuiteError, load_suite, write_suite
from tests.agent.fake_jobs import BROKEN
from tests.agent.steps.cycle_world import ITEMS, ROLES, Play, suite


def test_candidate_and_reference_are_measured_on_every_suite(play: Play):
    play.until("judging")
    spec = play.jobs.specs["c1-measuring"]
    assert [version.id for version in spec.versions] == ["v1", "v0"]
    wanted = {f"my-{role}" for role in ROLES} | {"c1-target"}
    assert {load_suite(path).suite for path in spec.suites} == wanted
    with play.world.store.read() as tx:
        assert len(measurements.of(tx, "v1")) == len(measurements.of(tx, "v0")) == ITEMS * len(wanted)


def test_what_is_measured_already_is_skipped(play: Play):
    play.until("judging")
    skip = play.jobs.specs["c1-measuring"].skip
    assert len(skip) == ITEMS and all(key.startswith("v0/c1-target/") for key in skip)


def test_the_worker_reads_copies(play: Play):
    play.until("judging")
    job = play.world.layout.job("c1-measuring")
    assert all(path.is_relative_to(job) for path in play.jobs.specs["c1-measuring"].suites)


def test_an_operators_suite_is_not_overwritten_by_the_probes_of_the_cycle(play: Play):
    write_suite(play.world.layout.suites / "probes.yaml", suite("probes", "safety"))
    play.configure(probes={"suites": (*(f"my-{role}" for role in ROLES), "probes")})
    play.until("judging")
    names = {load_suite(path).suite for path in play.jobs.specs["c1-measuring"].suites}
    assert {"probes", "c1-target"} <= names


def test_a_configured_suite_that_is_gone_is_not_passed_over(play: Play):
    play.until("measuring")
    (play.world.layout.suites / "my-safety.jsonl").unlink()
    with pytest.raises(SuiteError, match="my-safety"):
        Daemon(play.context).turn(0.0)
    assert play.newest().state == "measuring"


def test_a_measuring_job_that_is_given_up_fails_the_cycle(play: Play):
    play.jobs.work["measuring"] = BROKEN
    assert "planted" in (play.until("failed").reason or "")
    assert play.world.serving() == ("v0", 1)
