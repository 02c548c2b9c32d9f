"""One training job in several processes: which of them this is, and what they share.

Owns the arithmetic that makes several processes one run: each takes a part of every batch, and weighs what it finds so
that the mean over processes is the loss, and the gradient, of the whole batch. Also owns a process's place in the job
folder: the first one beats, tells, saves and answers there; the others do so in a scratch folder that is thrown away.
Without `learners.launch` there is one process, and everything here is the identity. Imports no torch before it is
needed. Called by `learners.worker`, `learners.loop` and `learners.trainer`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from learners.parts.mix import Batch

__all__ = ["LAUNCHED_VARIABLE", "count", "local_rank", "part", "rank", "seat", "total"]

LAUNCHED_VARIABLE = "CLD_LAUNCHED"
"""Set by `learners.launch`; without it, a RANK that stands in somebody's environment means nothing."""


def count() -> int:
    """Processes of this job."""
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """This process's number; 0 is the first, which answers for all."""
    return _number("RANK", 0)


def local_rank() -> int:
    """The number of this process's GPU."""
    return _number("LOCAL_RANK", 0)


def _number(variable: str, alone: int) -> int:
    return int(os.environ.get(variable, alone)) if LAUNCHED_VARIABLE in os.environ else alone


def seat(folder: Path) -> Path:
    """Where this process beats, tells and writes: the job folder, or scratch in it for all but the first."""
    return folder if rank() == 0 else folder / "work" / f"process-{rank()}"


def part(step: Batch, *, joined: bool) -> tuple[Batch, bool]:
    """This process's rows of a step.

    Args:
        joined: rehearsed rows are learned like new ones, and shared out like them; else every process has all of them,
            and what they are rehearsed for reads them together.

    Returns:
        The rows, and whether they count: a process for which none is left goes through one that does not, because all
        processes have to take every step together.
    """
    if count() == 1:
        return step, True
    new, replayed = step.new[rank() :: count()], step.replayed
    if joined:
        replayed = step.replayed[count() - 1 - rank() :: count()]  # from the other end, where fewer new rows are
    if new or (joined and replayed):
        return Batch(new, replayed), True
    if not joined:
        return Batch(step.new[:1], replayed), False
    return Batch(step.new[:1]) if step.new else Batch((), step.replayed[:1]), False


def total(values: Sequence[float]) -> list[float]:
    """The sum over all processes of each value; a collective, which all of them have to call."""
    if count() == 1:
        return list(values)
    import torch
    from torch import distributed

    device = f"cuda:{local_rank()}" if distributed.get_backend() == "nccl" else "cpu"
    summed = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(summed)
    return summed.tolist()
