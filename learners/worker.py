"""One worker process, one job folder: the protocol between a handler and whoever started it.

`run` owns what is true of every job, so that handlers only work: it validates the request, confines the process,
beats, names failures and writes the result so that it counts once. It never retries and never decides what a failure
means. Called by `python -m learners JOB_DIR` and `python -m monitors JOB_DIR` (`main`); the folder is described in
`learners.job`. Imports no torch: the handler's module does, after the limits are in force.

    exit code   means                                        left in the folder
    0           done (also: was done before)                 output/, manifest.json
    1           failed, or another worker is at work here    failure.json
    64          called with wrong arguments                  -
    70          its supervisor was gone                      -
    75          stopped as asked (SIGTERM); run it again     stopped, work/

A job folder serves every attempt of its job: a new attempt removes what the last one left of `failure.json`,
`stopped` and `output/`, and keeps `work/`. A folder that is complete is never worked on again.
"""

from __future__ import annotations

import atexit
import importlib
import math
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from pydantic import BaseModel

from learners import confinement, ranks
from learners.durable import MANIFEST, DamagedFolder, IncompleteFolder, verify, write_atomic, write_manifest
from learners.failures import Diverged, InvalidInput, StopRequested, classify
from learners.job import JobRequest, Progress
from learners.lean import lean
from learners.meter import Meter

__all__ = ["CRASH_VARIABLE", "Diverged", "Handler", "InvalidInput", "Job", "StopRequested", "main", "run"]

CRASH_VARIABLE = "CLD_CRASH_AT"
"""`<job kind>:<point>` kills the worker there, for tests; points: started, halfway, finished, reported."""

_DONE, _FAILED, _WRONG_ARGUMENTS, _ORPHANED, _STOPPED = 0, 1, 64, 70, 75


class Job:
    """What a handler knows of its job besides the spec.

    Attributes:
        folder: the job folder; `work` below it is kept between attempts, `output` becomes the result.
        request: the validated `job.json`.
        seat: where progress and output go; the job folder itself but for further processes of the job.
    """

    def __init__(self, folder: Path, request: JobRequest, seat: Path | None = None) -> None:
        self.folder = seat or folder
        self.work = folder / "work"
        self.output = self.folder / "output"
        self.request = request
        self.stop_requested = False
        self._halfway = False

    def progress(self, done: float, total: float, message: str, **metrics: float) -> None:
        """Append one line to `progress.jsonl`; the only channel to whoever watches.

        Args:
            done, total: in any one unit, e.g. steps.
            message: one sentence for people.
            metrics: numbers of this moment, e.g. `loss`; those that are not finite are left out.
        """
        finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
        line = Progress(done=float(done), total=float(total), message=message, metrics=finite)
        with (self.folder / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(line.model_dump_json() + "\n")
        if not self._halfway and done * 2 >= total:
            self._halfway = True
            self.crash_point("halfway")

    def check_stop(self) -> None:
        """Call where a checkpoint in `work` is complete.

        Raises:
            StopRequested: SIGTERM arrived; let it pass through the handler.
        """
        if self.stop_requested:
            raise StopRequested

    def crash_point(self, point: str) -> None:
        """Kill this process if CLD_CRASH_AT names this kind of job and this point."""
        if os.environ.get(CRASH_VARIABLE) == f"{self.request.kind}:{point}":
            os.kill(os.getpid(), signal.SIGKILL)


Handler = Callable[[dict[str, Any], Job], BaseModel]


def main(argv: Sequence[str], handlers: Mapping[str, str]) -> NoReturn:
    """`run`, and end the process with its exit code.

    The interpreter is not taken apart: where a model is in memory that takes a second or two, its supervisor waits
    for it, and everything that counts is written and synced by then. Exit handlers run, because temporary folders are
    removed by them; threads are not waited for. One of several processes ends as usual: they part in an order.
    """
    code = run(argv, handlers)
    if ranks.count() > 1:
        sys.exit(code)
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage] - what `sys.exit` would do, without the rest of it
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(argv: Sequence[str], handlers: Mapping[str, str]) -> int:
    """Work on the job folder named by the command line and return the exit code.

    Args:
        argv: the arguments after the program's name: one job folder.
        handlers: job kind to "module:function"; only the function asked for is imported.
    """
    if len(argv) != 1:
        sys.stderr.write("usage: python -m learners|monitors JOB_DIR (the folder that holds job.json)\n")
        return _WRONG_ARGUMENTS
    folder = Path(argv[0]).resolve()
    if not folder.is_dir():
        sys.stderr.write(f"{str(folder)!r} is not a folder; a job folder holds at least job.json\n")
        return _WRONG_ARGUMENTS
    try:
        confinement.bind_to_parent()
        seat = ranks.seat(folder)
        seat.mkdir(parents=True, exist_ok=True)
        with confinement.alone_in(seat):
            code = _DONE if _is_complete(folder) else _attempt(folder, seat, handlers)
            if seat != folder:
                shutil.rmtree(seat)
            return code
    except confinement.Orphaned as error:
        sys.stderr.write(f"{error}\n")
        return _ORPHANED
    except confinement.Busy as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED


def _attempt(folder: Path, seat: Path, handlers: Mapping[str, str]) -> int:
    _clear_last_attempt(seat)
    with Meter(seat) as meter:
        try:
            _work(folder, seat, handlers, meter)
        except (StopRequested, KeyboardInterrupt):
            (seat / "stopped").touch()
            return _STOPPED
        except (Exception, SystemExit) as error:  # noqa: BLE001 - this is where every failure gets its name
            confinement.lift_memory_limit()
            traceback.print_exception(error)
            if not (folder / "failure.json").exists():  # of several processes, the first one to fail knows why
                write_atomic(folder / "failure.json", classify(error).model_dump_json(indent=2))
            return _FAILED
    return _DONE


def _work(folder: Path, seat: Path, handlers: Mapping[str, str], meter: Meter) -> None:
    job = Job(folder, _read_request(folder), seat)
    confinement.apply(job.request.limits)
    signal.signal(signal.SIGTERM, lambda *_: setattr(job, "stop_requested", True))
    job.progress(0, 1, f"{job.request.kind} starts")
    job.crash_point("started")
    handler = _resolve(job.request.kind, handlers)
    meter.track_energy()
    result = handler(job.request.spec, job)
    if ranks.rank() == 0:
        _deliver(job, result, meter)


def _deliver(job: Job, result: BaseModel, meter: Meter) -> None:
    """Write the answer; the manifest, last, makes it count."""
    _refuse_nan(result.model_dump(), "result")
    write_atomic(job.output / "result.json", result.model_dump_json(indent=2))
    write_atomic(job.output / "usage.json", meter.usage().model_dump_json(indent=2))
    job.crash_point("finished")
    write_manifest(job.output, at=job.folder / MANIFEST)
    job.crash_point("reported")


def _read_request(folder: Path) -> JobRequest:
    path = folder / "job.json"
    if not path.is_file():
        raise InvalidInput(f"{str(folder)!r} holds no job.json; the folder of a job is prepared before its worker runs")
    return JobRequest.model_validate_json(path.read_bytes())


def _resolve(kind: str, handlers: Mapping[str, str]) -> Handler:
    if kind not in handlers:
        raise InvalidInput(f"job kind {kind!r} is not one of {', '.join(sorted(handlers))}")
    module, _, function = handlers[kind].partition(":")
    with lean():
        return cast(Handler, getattr(importlib.import_module(module), function))


def _is_complete(folder: Path) -> bool:
    try:
        verify(folder / "output", at=folder / MANIFEST)
    except (IncompleteFolder, DamagedFolder, FileNotFoundError):
        return False
    return True


def _clear_last_attempt(folder: Path) -> None:
    """Remove what the last attempt left, what makes it count first."""
    for name in (MANIFEST, "failure.json", "stopped"):
        (folder / name).unlink(missing_ok=True)
    if (folder / "output").exists():
        shutil.rmtree(folder / "output")
    (folder / "output").mkdir()
    (folder / "work").mkdir(exist_ok=True)


def _refuse_nan(value: object, name: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Diverged(f"{name} is {value!r}; a result holds finite numbers only")
    if isinstance(value, dict):
        for key, item in cast(dict[str, object], value).items():
            _refuse_nan(item, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(cast(Sequence[object], value)):
            _refuse_nan(item, f"{name}[{index}]")
