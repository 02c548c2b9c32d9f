"""Workers that die, hang, grow, fork or are orphaned: each fault is planted and seen to happen."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.work import workers
from agent.work.workers import Failed, Finished, Running
from learners.job import Limits
from tests.faults.rehearsing import (
    GENEROUS,
    MIB,
    PACKAGE_ROOT,
    attempt,
    files,
    launch,
    prepare,
    running,
    settle,
    until,
)

LEASE_SECONDS = 1.5


@pytest.fixture
def supervisor(tmp_path):
    """A supervisor in a process of its own; gives it and the id of its waiting worker."""
    folder = prepare(tmp_path / "job", {"act": "wait"})
    code = (
        "import sys, time; from pathlib import Path; from tests.faults.rehearsing import launch, works\n"
        "folder = Path(sys.argv[1]); identity = launch(folder); works(folder, identity)\n"
        "print(identity.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT.parent.parent)}
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process, int(process.stdout.readline()), folder
        process.kill()


def test_a_worker_is_gone_within_two_seconds_of_its_killed_supervisor(supervisor):
    process, worker_pid, folder = supervisor
    assert running(worker_pid)
    process.kill()
    assert until(lambda: not running(worker_pid), seconds=2.0)
    assert workers.inspect(folder, None, 5.0) == workers.Absent()


def test_a_worker_that_no_store_knows_of_is_ended_before_the_job_counts_as_absent(waiting):
    folder, identity = waiting
    assert workers.inspect(folder, None, 5.0) == workers.Absent()
    assert not running(identity.pid)


def test_a_stopped_process_is_found_hung_by_its_lease_and_killed(waiting):
    folder, identity = waiting
    os.kill(identity.pid, signal.SIGSTOP)
    began = time.monotonic()
    state = settle(folder, identity, lease_seconds=LEASE_SECONDS)
    assert isinstance(state, Failed)
    assert state.failure.reason == "hung"
    assert LEASE_SECONDS * 0.9 < time.monotonic() - began < LEASE_SECONDS + 3
    assert not running(identity.pid)


def test_a_worker_that_was_paused_for_less_than_its_lease_goes_on(waiting):
    folder, identity = waiting
    os.kill(identity.pid, signal.SIGSTOP)
    until(lambda: not isinstance(workers.inspect(folder, identity, LEASE_SECONDS), Running), LEASE_SECONDS / 2)
    os.kill(identity.pid, signal.SIGCONT)
    until(lambda: not isinstance(workers.inspect(folder, identity, LEASE_SECONDS), Running), LEASE_SECONDS * 2)
    assert workers.alive(identity)


def test_no_time_on_the_heartbeat_file_makes_a_worker_look_hung(waiting):
    folder, identity = waiting
    for seconds in (0, time.time() - 86400, time.time() + 86400):
        os.utime(folder / "heartbeat", (seconds, seconds))
        assert isinstance(workers.inspect(folder, identity, LEASE_SECONDS), Running)


def test_a_supervisor_that_slept_for_an_hour_gives_its_worker_time_to_beat(waiting, monkeypatch):
    folder, identity = waiting
    workers.inspect(folder, identity, LEASE_SECONDS)
    os.kill(identity.pid, signal.SIGSTOP)
    awake = time.monotonic
    monkeypatch.setattr(workers.time, "monotonic", lambda: awake() + 3600)
    assert isinstance(workers.inspect(folder, identity, LEASE_SECONDS), Running)


def test_a_hang_after_the_result_is_complete_loses_nothing(tmp_path):
    folder = prepare(tmp_path / "job", {"act": "linger"})
    state = settle(folder, launch(folder), lease_seconds=LEASE_SECONDS)
    assert isinstance(state, Finished)


def test_nobody_waits_for_threads_of_a_worker_that_is_done_and_nothing_of_it_is_left(tmp_path):
    folder = prepare(tmp_path / "job", {"act": "leave_thread"})
    assert isinstance(settle(folder, launch(folder), lease_seconds=600.0, seconds=100.0), Finished)
    assert not list(folder.glob("scratch-*"))


def test_small_objects_up_to_the_memory_limit_end_as_out_of_memory(tmp_path):
    limits = Limits(memory_bytes=100 * MIB, threads=1)
    state = attempt(prepare(tmp_path / "job", {"act": "hoard_small"}, limits), limits)
    assert state.failure.reason == "out_of_memory"
    assert state.failure.message.startswith("MemoryError")


@pytest.mark.slow
def test_torch_at_the_memory_limit_ends_as_out_of_memory_and_not_as_a_crash(tmp_path):
    limits = Limits(memory_bytes=700 * MIB, threads=1)
    state = attempt(prepare(tmp_path / "job", {"act": "torch_allocation", "times": 200}, limits), limits)
    assert state.failure.reason == "out_of_memory"
    assert "DefaultCPUAllocator" in state.failure.message


@pytest.mark.slow
def test_torch_within_the_same_limit_finishes(tmp_path):
    limits = Limits(memory_bytes=700 * MIB, threads=1)
    folder = prepare(tmp_path / "job", {"act": "torch_allocation", "times": 2}, limits)
    assert isinstance(attempt(folder, limits, enforced=limits), Finished)


def test_children_count_towards_the_memory_limit_and_die_with_the_worker(tmp_path):
    limits = Limits(memory_bytes=110 * MIB, threads=1)
    folder = prepare(tmp_path / "job", {"act": "hoard_in_children"}, limits)
    state = attempt(folder, limits, enforced=limits)
    assert state.failure.reason == "out_of_memory"
    assert "bytes of memory, its limit is 115343360" in state.failure.message
    assert not any(running(pid) for pid in _children(folder))


def test_a_kill_from_outside_is_named_killed(waiting):
    folder, identity = waiting
    os.kill(identity.pid, signal.SIGKILL)
    assert settle(folder, identity).failure.reason == "killed"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"act": "raise", "what": "diverged"}, "diverged"),
        ({"act": "answer", "value": "nan"}, "diverged"),
        ({"act": "raise", "what": "invalid"}, "invalid_input"),
        ({"act": "raise", "what": "disk"}, "disk_full"),
        ({"act": "raise", "what": "cuda"}, "out_of_memory"),
        ({"act": "die", "signal": 6, "last_words": "memory allocation of 64 bytes failed"}, "out_of_memory"),
        ({"act": "die", "signal": 11}, "crashed"),
        ({"act": "leave", "code": 3}, "crashed"),
    ],
)
def test_every_end_has_its_name_and_is_written_down(tmp_path, spec, reason):
    folder = prepare(tmp_path / "job", spec)
    assert attempt(folder).failure.reason == reason
    assert f'"reason": "{reason}"' in (folder / "failure.json").read_text()


def test_work_beyond_the_wall_time_is_ended(tmp_path):
    limits = Limits(wall_seconds=0.8, threads=1)
    folder = prepare(tmp_path / "job", {"act": "stubborn"}, limits)
    identity = launch(folder, limits)
    assert settle(folder, identity, limits).failure.reason == "timed_out"
    assert not running(identity.pid)


@pytest.mark.parametrize("act", ["fill_disk", "many_files"])
def test_one_big_file_and_many_small_ones_both_meet_the_disk_limit(tmp_path, act):
    limits = Limits(disk_bytes=8 * MIB, threads=1)
    folder = prepare(tmp_path / "job", {"act": act}, limits)
    assert attempt(folder, limits, enforced=limits).failure.reason == "disk_full"


@pytest.mark.parametrize("point", ["started", "halfway", "finished"])
def test_a_worker_killed_before_its_manifest_is_run_again_in_the_same_folder(tmp_path, point):
    folder = prepare(tmp_path / "job", {})
    assert attempt(folder, CLD_CRASH_AT=f"act:{point}").failure.reason == "killed"
    assert not (folder / "manifest.json").exists()
    assert attempt(folder).result["attempts"] == (1 if point == "started" else 2)


def test_a_worker_killed_after_its_manifest_is_adopted_once(tmp_path):
    folder = prepare(tmp_path / "job", {})
    identity = launch(folder, CLD_CRASH_AT="act:reported")
    adopted = settle(folder, identity)
    assert isinstance(adopted, Finished)
    before = files(folder / "output")
    assert attempt(folder) == adopted
    assert files(folder / "output") == before
    assert (folder / "work" / "attempts").read_text() == "x"


def test_what_a_worker_leaves_running_is_killed_be_it_in_the_group_or_not(tmp_path):
    folder = prepare(tmp_path / "job", {"act": "leave_children"})
    identity = launch(folder)
    assert until(lambda: len(_children(folder)) == 2)
    in_group, fled = _children(folder)
    assert running(in_group)
    assert running(fled)
    assert os.getsid(fled) != identity.pid
    assert isinstance(settle(folder, identity), Finished)
    assert not running(in_group)
    assert not running(fled)


@pytest.mark.slow
def test_energy_is_estimated_offline_and_silently(tmp_path):
    folder = prepare(tmp_path / "job", {"act": "wait", "seconds": 8})
    state = attempt(folder, CLD_ENERGY_COUNTRY="DEU", CODECARBON_SAVE_TO_API="true")
    assert state.usage.energy_kwh > 0
    assert "codecarbon" not in (folder / "worker.log").read_text().lower()


def test_short_jobs_are_spared_the_look_at_the_hardware(tmp_path):
    state = attempt(prepare(tmp_path / "job", {}), CLD_ENERGY_COUNTRY="DEU")
    assert state.usage.energy_kwh is None


def test_a_daemon_without_the_worker_in_memory_still_judges_it(waiting, monkeypatch):
    folder, identity = waiting
    process = workers._watches[identity].process
    monkeypatch.setattr(workers, "_watches", {})
    assert isinstance(workers.inspect(folder, identity, 5.0), Running)
    assert workers.enforce(identity, folder, GENEROUS) is None
    process.kill()
    process.wait()
    assert workers.inspect(folder, identity, 5.0).failure.reason == "killed"


def _children(folder: Path) -> list[int]:
    listed = folder / "children"
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []
