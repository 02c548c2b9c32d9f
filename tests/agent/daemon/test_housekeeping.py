"""Promises of house-keeping: the machine's limits pause and resume the loop, and retention deletes nothing needed."""

from __future__ import annotations

import pytest

from agent.context import Context
from agent.daemon.housekeeping import Housekeeping
from agent.daemon.logs import open_log
from agent.store import control, plans, versions
from agent.work.jobs import JobRunner


@pytest.fixture
def housekeeping(operated):
    few = operated.config.model_copy(
        update={"retention": operated.config.retention.model_copy(update={"keep_versions": 2})}
    )
    runner = JobRunner(operated.layout, few, operated.store)
    return Housekeeping(
        Context(operated.layout, few, operated.store, runner, open_log(operated.layout.log_file, "info"))
    )


def reasons(operated):
    with operated.store.read() as tx:
        return [pause.reason for pause in control.pauses(tx)]


def test_a_full_disk_pauses_with_the_key_and_resumes_by_itself(operated, housekeeping):
    housekeeping.watch_disk(free_bytes=10)
    assert "limits.disk_reserve_bytes" in reasons(operated)[0]
    housekeeping.watch_disk(free_bytes=2**50)
    assert reasons(operated) == []


def test_an_operators_pause_outlives_the_end_of_a_full_disk(operated, housekeeping):
    with operated.store.write() as tx:
        control.pause(tx, "operator: maintenance", who="ada", fix="cld resume")
    housekeeping.watch_disk(free_bytes=10)
    housekeeping.watch_disk(free_bytes=2**50)
    assert reasons(operated) == ["operator: maintenance"]


def test_versions_beyond_retention_are_swept_but_never_those_that_are_needed(operated, housekeeping):
    for number in range(1, 7):
        operated.publish(f"v{number}", "v0")
    operated.serve("v1")
    with operated.store.write() as tx:
        versions.pin(tx, "v2", "ada", "keep it")
    housekeeping.sweep_versions()
    held = {folder.name for folder in operated.layout.versions.iterdir()}
    assert held == {"v0", "v1", "v2", "v5", "v6"}
    with operated.store.read() as tx:
        assert versions.get(tx, "v3").state == "swept"


def test_files_that_a_killed_sweep_left_are_deleted_by_the_next_one(operated, housekeeping):
    operated.publish("v1", "v0")
    with operated.store.write() as tx:
        versions.mark(tx, "v1", "swept", "daemon", "test")
    housekeeping.sweep_versions()
    assert not operated.layout.version("v1").exists()


def test_what_cannot_be_deleted_is_said_once_and_tried_again(operated, housekeeping, monkeypatch):
    operated.publish("v1", "v0")
    with operated.store.write() as tx:
        versions.mark(tx, "v1", "swept", "daemon", "test")

    def refuse(folder):
        raise PermissionError(13, "planted", str(folder))

    with monkeypatch.context() as locked:
        locked.setattr("agent.daemon.housekeeping.shutil.rmtree", refuse)
        for _ in range(2):
            housekeeping.sweep_versions()
    told = operated.layout.log_file.read_text().splitlines()
    assert len(told) == 1 and "planted" in told[0] and "retention.not_deleted" in told[0]
    housekeeping.sweep_versions()
    assert not operated.layout.version("v1").exists()


def test_the_sketcher_of_a_generator_is_swept_only_after_it(operated, housekeeping):
    """Beyond retention as both are, the generator answers with its sketcher for as long as it has files."""

    def sweep():
        housekeeping.sweep_versions()
        return {folder.name for folder in operated.layout.versions.iterdir()}

    operated.publish("v1", "v0")
    cycle = operated.cycle_in("planning", "no_action")
    with operated.store.write() as tx:
        plans.save(tx, cycle, {"method": "cert", "settings": {"role": "generator", "sketcher": "v1"}}, "rules", "test")
        versions.pin(tx, "v0", "ada", "keep it")
    operated.publish("v2", "v0", cycle)
    for number in range(3, 6):
        operated.publish(f"v{number}", "v0")
    with operated.store.write() as tx:
        versions.pin(tx, "v2", "ada", "it answers")
    assert sweep() == {"v0", "v1", "v2", "v4", "v5"}
    with operated.store.write() as tx:
        versions.unpin(tx, "v2", "ada", "no more")
    sweep()
    assert sweep() == {"v0", "v4", "v5"}


def test_it_runs_once_a_minute(operated, housekeeping, monkeypatch):
    seen = []
    monkeypatch.setattr(housekeeping, "watch_disk", seen.append)
    for now in (0.0, 30.0, 59.0, 61.0):
        housekeeping.turn(now)
    assert len(seen) == 2
