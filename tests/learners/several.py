"""Training jobs in several processes: prepared, worked on by forked processes or by the launcher, compared."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from learners import ranks
from learners.__main__ import HANDLERS
from learners.job import JobRequest, Limits
from learners.worker import run
from tests.learners.runs import spec, tensors

ROOT = Path(__file__).parents[2]

ROUNDING = 5e-4
"""Most that a weight may differ for the order in which numbers are added, a different one on every make of processor:
2e-4 was seen. What a process is not told of makes 1e-3 and more.
"""

CONFIG = "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nuse_cpu: true\nnum_processes: 2\n"


def prepare(folder, base, stage, method, records, **options):
    """The folder of a training job that one process or several can work on."""
    order = spec(folder, base, stage, method, records, **options)
    request = JobRequest(job_id="shared", kind="train", spec=order, limits=Limits(threads=1))
    (folder / "job.json").write_text(request.model_dump_json())


def forked(folder, crash="", begin=lambda: None):
    """Work on the job with two processes; their exit codes. Forked, so that they need not import torch again.

    Args:
        crash: point at which both are killed; None anywhere.
        begin: called in each of them first.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [_rank(folder, rank, port, crash, begin) for rank in range(2)]
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _rank(folder, rank, port, crash, begin):
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
        os.environ["CLD_CRASH_AT"] = crash
        signal.alarm(600)
        begin()
        code = run([str(folder)], HANDLERS)
    finally:
        os._exit(code)


def launched(folder, crash=""):
    """Work on the job as the daemon starts it, with two processes; the launcher's exit code."""
    (folder / "two.yaml").write_text(CONFIG)
    command = [sys.executable, "-P", "-m", "learners.launch", str(folder / "two.yaml"), str(folder)]
    environment = os.environ | {"CLD_CRASH_AT": crash, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "worker.log").open("ab") as log:
        return subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, timeout=900).returncode


def apart(left, right):
    """The largest difference between the trained weights of two version folders."""
    ours, theirs = tensors(left), tensors(right)
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
