"""One handler; the spec's `act` names what it does."""

import atexit
import errno
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from pydantic import BaseModel

from learners.worker import Diverged, InvalidInput

KEPT = []


class Answer(BaseModel):
    value: float
    attempts: int
    threads: str
    cwd: str


def act(spec, job):
    with (job.work / "attempts").open("a") as file:
        file.write("x")
    ACTS[spec.get("act", "answer")](spec, job)
    (job.output / "payload.bin").write_bytes(b"payload")
    return Answer(
        value=float(spec.get("value", 1.0)),
        attempts=len((job.work / "attempts").read_text()),
        threads=os.environ["OMP_NUM_THREADS"],
        cwd=str(Path.cwd()),
    )


def answer(spec, job):
    job.progress(1, 2, "half", loss=0.5, broken=float("nan"))
    job.progress(2, 2, "all")


def wait(spec, job):
    job.progress(0, 1, "waiting")
    until = time.monotonic() + spec.get("seconds", 60)
    while time.monotonic() < until:
        job.check_stop()
        time.sleep(0.01)


def stubborn(spec, job):
    job.progress(0, 1, "waiting")
    time.sleep(60)


def fill_disk(spec, job):
    with (job.work / "big").open("wb") as file:
        for _ in range(200):
            file.write(b"x" * 2**20)
            file.flush()
    stubborn(spec, job)


def many_files(spec, job):
    for number in range(40):
        (job.work / f"part{number}").write_bytes(b"x" * 2**19)
    stubborn(spec, job)


def hoard_small(spec, job):
    hoard = []
    while True:
        hoard.append([0] * 50)


def torch_allocation(spec, job):
    import torch

    job.hoard = [torch.ones(2**22) for _ in range(spec["times"])]


def hoard_in_children(spec, job):
    code = "import time; data = b'x' * (40 * 2**20); time.sleep(60)"
    children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    (job.folder / "children").write_text(" ".join(str(child.pid) for child in children))
    stubborn(spec, job)


def leave_children(spec, job):
    """One in the group, one that fled into a session of its own."""
    children = [
        subprocess.Popen(["sleep", "300"], start_new_session=flees, stdin=subprocess.DEVNULL) for flees in (False, True)
    ]
    (job.folder / "children").write_text(" ".join(str(child.pid) for child in children))
    for child in children:
        child.returncode = 0


def linger(spec, job):
    """Finish, but never let the process end."""
    atexit.register(time.sleep, 60)


def leave_thread(spec, job):
    """A thread that an interpreter would wait for, and a temporary folder that it would remove."""
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
    KEPT.append(tempfile.TemporaryDirectory(dir=job.folder, prefix="scratch-"))


def raise_it(spec, job):
    raise {
        "diverged": Diverged("loss is nan at step 3"),
        "invalid": InvalidInput("method 'x' is unknown"),
        "disk": OSError(errno.ENOSPC, "No space left on device"),
        "memory": MemoryError(),
        "cuda": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        "plain": KeyError("nothing"),
        "exit": SystemExit(3),
    }[spec["what"]]


def die(spec, job):
    sys.stderr.write(spec.get("last_words", "") + "\n")
    os.kill(os.getpid(), spec["signal"])


def leave(spec, job):
    os._exit(spec["code"])


ACTS = {
    "answer": answer, "wait": wait, "stubborn": stubborn, "fill_disk": fill_disk, "many_files": many_files,
    "hoard_small": hoard_small, "torch_allocation": torch_allocation, "hoard_in_children": hoard_in_children,
    "leave_children": leave_children, "raise": raise_it, "die": die, "leave": leave, "linger": linger,
    "leave_thread": leave_thread,
}  # fmt: skip
