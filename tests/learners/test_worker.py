"""learners.worker inside one process: requests, results, failures, attempts."""

import errno
import json
import os
import signal

import pytest
from pydantic import BaseModel

from learners import confinement, failures, worker
from learners.durable import verify
from learners.job import Failure, JobRequest, Progress, Usage


class Answer(BaseModel):
    value: float


def double(spec, job):
    job.progress(1, 2, "half", loss=0.5, broken=float("nan"))
    (job.output / "payload.bin").write_bytes(b"payload")
    return Answer(value=spec["value"] * 2)


def diverge(spec, job):
    raise worker.Diverged("loss is nan")


def not_a_number(spec, job):
    return Answer(value=float("nan"))


def stop_at_checkpoint(spec, job):
    (job.work / "checkpoint").write_text("step 3")
    os.kill(os.getpid(), signal.SIGTERM)
    job.check_stop()


def leave_early(spec, job):
    raise SystemExit(0)


HANDLERS = {
    name: f"{__name__}:{name}" for name in ("double", "diverge", "not_a_number", "stop_at_checkpoint", "leave_early")
} | {"absent": "learners.no_such_module:run"}


@pytest.fixture(autouse=True)
def _unconfined(monkeypatch):
    """The limits of a worker must not fall on the test process."""
    monkeypatch.setattr(confinement, "apply", lambda limits: None)
    monkeypatch.setattr(confinement, "lift_memory_limit", lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def job(tmp_path):
    """Write a request, run it, return its exit code."""

    def run(kind="double", **spec):
        request = JobRequest(job_id="c1-training", kind=kind, spec=spec)
        (tmp_path / "job.json").write_text(request.model_dump_json())
        return worker.run([str(tmp_path)], HANDLERS)

    return run


def _failure(folder):
    return Failure.model_validate_json((folder / "failure.json").read_text())


def test_a_result_counts_with_its_manifest_and_its_cost(job, tmp_path):
    assert job(value=21) == 0
    verify(tmp_path / "output", at=tmp_path / "manifest.json")
    assert json.loads((tmp_path / "output" / "result.json").read_text()) == {"value": 42.0}
    assert Usage.model_validate_json((tmp_path / "output" / "usage.json").read_text()).peak_memory_bytes > 10**6


def test_progress_is_one_line_each_and_holds_finite_numbers_only(job, tmp_path):
    job(value=1)
    lines = (tmp_path / "progress.jsonl").read_text().splitlines()
    assert Progress.model_validate_json(lines[-1]).metrics == {"loss": 0.5}


def test_a_complete_folder_is_never_run_again(job, tmp_path):
    job(value=1)
    written = (tmp_path / "output" / "result.json").stat().st_mtime_ns
    assert job(value=2) == 0
    assert (tmp_path / "output" / "result.json").stat().st_mtime_ns == written


def test_a_damaged_result_is_made_again(job, tmp_path):
    job(value=1)
    (tmp_path / "output" / "payload.bin").write_bytes(b"tampere")
    assert job(value=1) == 0
    assert (tmp_path / "output" / "payload.bin").read_bytes() == b"payload"


def test_a_new_attempt_clears_the_failure_and_the_output_but_keeps_the_work(job, tmp_path):
    job("diverge")
    (tmp_path / "output" / "left.bin").write_bytes(b"left")
    (tmp_path / "work" / "checkpoint").write_text("step 3")
    assert job(value=1) == 0
    assert not (tmp_path / "failure.json").exists()
    assert not (tmp_path / "output" / "left.bin").exists()
    assert (tmp_path / "work" / "checkpoint").exists()


def test_a_stopped_job_leaves_its_checkpoint_and_no_failure(job, tmp_path):
    assert job("stop_at_checkpoint") == 75
    assert (tmp_path / "stopped").exists()
    assert (tmp_path / "work" / "checkpoint").exists()
    assert not (tmp_path / "failure.json").exists()


def test_divergence_is_named(job, tmp_path):
    assert job("diverge") == 1
    assert _failure(tmp_path).reason == "diverged"


def test_a_result_that_is_not_a_number_is_divergence(job, tmp_path):
    assert job("not_a_number") == 1
    assert _failure(tmp_path).message.startswith("Diverged: result.value is nan")
    assert not (tmp_path / "manifest.json").exists()


def test_an_unknown_kind_is_invalid_and_the_known_ones_are_named(job, tmp_path):
    assert job("paint") == 1
    assert _failure(tmp_path).reason == "invalid_input"
    assert "double" in _failure(tmp_path).message


def test_a_handler_that_cannot_be_imported_crashed(job, tmp_path):
    assert job("absent") == 1
    assert _failure(tmp_path).reason == "crashed"


def test_a_handler_that_exits_has_not_finished(job, tmp_path):
    assert job("leave_early") == 1
    assert _failure(tmp_path).reason == "crashed"


@pytest.mark.parametrize("request_text", ["{", "{}", '{"job_id": "x", "kind": "double", "spec": {}, "more": 1}'])
def test_a_broken_request_is_invalid(tmp_path, request_text):
    (tmp_path / "job.json").write_text(request_text)
    assert worker.run([str(tmp_path)], HANDLERS) == 1
    assert _failure(tmp_path).reason == "invalid_input"


def test_a_folder_without_request_is_invalid(tmp_path):
    assert worker.run([str(tmp_path)], HANDLERS) == 1
    assert "job.json" in _failure(tmp_path).message


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["no/such/folder"]])
def test_wrong_arguments_have_their_own_exit_code(argv, capsys):
    assert worker.run(argv, HANDLERS) == 64
    assert "job" in capsys.readouterr().err.lower()


def test_a_second_worker_in_the_same_folder_is_refused(tmp_path):
    with (
        confinement.alone_in(tmp_path),
        pytest.raises(confinement.Busy, match="another worker"),
        confinement.alone_in(tmp_path, wait_seconds=0.1),
    ):
        pass


def test_a_worker_whose_supervisor_is_gone_does_not_begin(job, tmp_path, monkeypatch):
    monkeypatch.setenv(confinement.PARENT_VARIABLE, "1")
    monkeypatch.setattr(confinement.ctypes, "CDLL", lambda *_, **__: _NoKernel())
    assert job(value=1) == 70
    assert not (tmp_path / "output").exists()


class _NoKernel:
    def prctl(self, *_):
        return 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes"), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (OSError(errno.EFBIG, "File too large"), "disk_full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full"),
        (FloatingPointError("overflow"), "diverged"),
        (worker.InvalidInput("no such method"), "invalid_input"),
        (OSError(errno.ENOENT, "No such file"), "crashed"),
        (ValueError("shape mismatch"), "crashed"),
    ],
)
def test_errors_are_named_by_what_they_mean(error, reason):
    assert failures.classify(error).reason == reason


def test_the_cause_names_the_failure_that_a_library_wrapped():
    wrapped = RuntimeError("training step failed")
    wrapped.__cause__ = MemoryError()
    assert failures.classify(wrapped).reason == "out_of_memory"


def test_a_failure_is_short_and_says_what_to_turn():
    failure = failures.classify(MemoryError("x" * 10_000))
    assert len(failure.message) < 700
    assert failure.message.endswith("raise limits.memory_bytes")
