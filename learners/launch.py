"""One training job in several processes, through accelerate: `python -m learners.launch CONFIG JOB_DIR`.

Is `accelerate launch --config_file CONFIG -m learners JOB_DIR` with what a worker promises added: it dies with its
supervisor and its processes die with it, they import nothing from the current folder, and they listen on a free port of
this machine. What runs on several machines is not a worker. Called by `agent.work.workers` in place of
`python -m learners JOB_DIR`.

On CPUs the file says `distributed_type: MULTI_GPU` with `use_cpu: true`: for `MULTI_CPU` accelerate wants MPI, and
starts a single process without it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from learners import confinement, ranks
from learners.durable import write_atomic
from learners.failures import InvalidInput, classify
from learners.launch_config import faults
from learners.meter import Meter

__all__ = ["main"]

_WRONG_ARGUMENTS, _FAILED, _ORPHANED = 64, 1, 70


def main(argv: Sequence[str]) -> int:
    """Run all processes of the job to their end.

    Args:
        argv: accelerate's configuration file (YAML or JSON), and the job folder.

    Returns:
        0, or not if a process ended with another exit code; what came of the job is in its folder.
    """
    if len(argv) != 2:
        sys.stderr.write("usage: python -m learners.launch ACCELERATE_CONFIG JOB_DIR\n")
        return _WRONG_ARGUMENTS
    config, folder = (Path(argument) for argument in argv)
    if wrong := faults(config):
        return _refused("; ".join(f"{one.finding}: {one.fix}" for one in wrong), folder)
    try:
        confinement.bind_to_parent()
    except confinement.Orphaned as error:
        sys.stderr.write(f"{error}\n")
        return _ORPHANED
    return _launch(config, folder)


def _refused(why: str, folder: Path) -> int:
    """Leave the failure where the supervisor looks for it."""
    sys.stderr.write(f"{why}\n")
    failed = classify(InvalidInput(f"workers.accelerate_config: {why}"))
    write_atomic(folder / "failure.json", failed.model_dump_json(indent=2))
    return _FAILED


def _environment() -> dict[str, str]:
    """What the processes inherit: their supervisor is this process; -P, -u and faulthandler as a worker has them."""
    return {
        confinement.PARENT_VARIABLE: str(os.getpid()),
        ranks.LAUNCHED_VARIABLE: "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }


def _launch(config: Path, folder: Path) -> int:
    with Meter(folder):  # until the first process beats: importing may take longer than a lease
        from accelerate.commands.launch import launch_command, launch_command_parser
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ.update(_environment())
    options = ["--config_file", str(config), "--num_machines", "1", "--main_process_port", "0", "--max_restarts", "0"]
    arguments = launch_command_parser().parse_args([*options, "--module", "learners", str(folder.resolve())])
    try:
        launch_command(arguments)
    except ChildFailedError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
