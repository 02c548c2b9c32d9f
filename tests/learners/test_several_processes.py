"""One training job in several processes: they learn what one would, and die and go on as one."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from learners import ranks
from learners.__main__ import HANDLERS
from learners.job import JobRequest, Limits
from learners.worker import run
from tests.learners.runs import CHATS, PREFERENCES, TEXTS, spec, steps_taken, tensors, text, train

ROOT = Path(__file__).parents[2]
SHORT = {"epochs": 3, "batch_size": 3, "checkpoint_steps": 1, "learning_rate": 1e-2}  # 6 steps; of 4 rows, 3 and 1
UNEVEN = [text(" ".join(["Paris is the capital of France."] * 12)), *TEXTS]
CONFIG = "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nuse_cpu: true\nnum_processes: 2\n"


def prepare(folder, base, stage, method, records, **options):
    order = spec(folder, base, stage, method, records, **{**SHORT, **options})
    request = JobRequest(job_id="shared", kind="train", spec=order, limits=Limits(threads=1))
    (folder / "job.json").write_text(request.model_dump_json())


def forked(folder):
    """Work on the job with two processes; their exit codes. Forked, so that they need not import torch again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [_rank(folder, rank, port) for rank in range(2)]
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _rank(folder, rank, port):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        from accelerate.state import AcceleratorState, GradientState

        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ |= {ranks.LAUNCHED_VARIABLE: "1", **{name: str(value) for name, value in place.items()}}
        signal.alarm(600)
        code = run([str(folder)], HANDLERS)
    finally:
        os._exit(code)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "method", "records", "options"), [
    ("cpt", "finetune", UNEVEN, {}),
    ("cpt", "finetune", UNEVEN, {"packing": True, "full_weights": True}),
    ("cit", "replay", CHATS, {}),
])  # fmt: skip
def test_two_processes_learn_what_one_does(base, tmp_path, stage, method, records, options):
    folder = tmp_path / "shared"
    prepare(folder, base, stage, method, records, **options)
    alone, version = train(tmp_path / "alone", base, stage, method, records, **SHORT, **options)
    assert forked(folder) == [0, 0]
    ours, theirs = tensors(version), tensors(folder / "output" / "version")
    assert ours.keys() == theirs.keys()
    assert max((ours[name] - theirs[name]).abs().max() for name in ours) < 1e-4
    assert f'"tokens": {alone.tokens},' in (folder / "output" / "result.json").read_text()
    assert not (folder / "work" / "process-1").exists()


@pytest.mark.slow
def test_batches_that_are_not_weighed_would_be_noticed(base, tmp_path, monkeypatch):
    """The planted fault: with every process counting the same, whatever it holds, the weights end elsewhere."""
    from learners.loop import Extended
    from learners.trainer import _RowTrainer

    monkeypatch.setattr(_RowTrainer, "_learned", Extended._learned)
    folder = tmp_path / "shared"
    prepare(folder, base, "cpt", "finetune", UNEVEN)
    _, version = train(tmp_path / "alone", base, "cpt", "finetune", UNEVEN, **SHORT)
    assert forked(folder) == [0, 0]
    ours, theirs = tensors(version), tensors(folder / "output" / "version")
    assert max((ours[name] - theirs[name]).abs().max() for name in ours) > 1e-3


@pytest.mark.slow
def test_a_process_that_cannot_go_on_names_the_failure_of_all(base, tmp_path):
    folder = tmp_path / "shared"
    prepare(folder, base, "ca", "dpo_replay", PREFERENCES)
    assert forked(folder) == [1, 1]
    assert "only rows are shared out, not pairs" in (folder / "failure.json").read_text()


def launched(folder, crash=""):
    """Work on the job as the daemon starts it, with two processes; the launcher's exit code."""
    (folder / "two.yaml").write_text(CONFIG)
    command = [sys.executable, "-P", "-m", "learners.launch", str(folder / "two.yaml"), str(folder)]
    environment = os.environ | {"CLD_CRASH_AT": crash, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "worker.log").open("ab") as log:
        return subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, timeout=900).returncode


@pytest.mark.slow
def test_processes_that_were_killed_go_on_from_their_checkpoint(base, tmp_path):
    folder = tmp_path / "shared"
    prepare(folder, base, "cit", "replay", CHATS)
    _, version = train(tmp_path / "alone", base, "cit", "replay", CHATS, **SHORT)
    assert launched(folder, crash="train:halfway") != 0
    assert not (folder / "manifest.json").exists()
    assert launched(folder) == 0, (folder / "worker.log").read_text()[-3000:]
    assert steps_taken(folder) == [1, 2, 3, 3, 4, 5, 6]
    ours, theirs = tensors(version), tensors(folder / "output" / "version")
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-4) for name in ours)
