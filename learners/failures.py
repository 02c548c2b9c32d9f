"""Why attempts fail: the exceptions that handlers raise, and the naming of everything else that goes wrong.

Owns the way from an exception, or from the last words in a log, to one of `learners.job.FailureReason`. Decides
nothing about retries. Called by `learners.worker` inside a worker and by `agent.work.workers` for workers that died
without a word; imports no torch.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator

from pydantic import ValidationError

from learners.job import Failure, FailureReason

__all__ = ["Diverged", "InvalidInput", "StopRequested", "classify", "failure", "reason_in_text"]

_MESSAGE_CHARACTERS = 500
_DETAIL_CHARACTERS = 8000

_ERRNOS: dict[int, FailureReason] = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.ENOMEM: "out_of_memory",
}

_PHRASES: dict[str, FailureReason] = {
    "not enough memory": "out_of_memory",
    "can't allocate memory": "out_of_memory",
    "cannot allocate memory": "out_of_memory",
    "out of memory": "out_of_memory",
    "memoryerror": "out_of_memory",
    "std::bad_alloc": "out_of_memory",
    "memory allocation of": "out_of_memory",  # Rust's last words
    "no space left on device": "disk_full",
    "disk quota exceeded": "disk_full",
    "file too large": "disk_full",
}
"""What allocators and libraries in C++ and Rust say where Python has no exception class of its own."""

_ADVICE: dict[FailureReason, str] = {
    "out_of_memory": "lower the batch size or raise limits.memory_bytes",
    "disk_full": "free disk space or raise limits.disk_bytes",
    "timed_out": "raise limits.wall_seconds or give the job less to do",
    "diverged": "lower the learning rate",
}
"""What to turn; the keys of cld.toml."""


class Diverged(Exception):
    """Training left the numbers that mean anything (NaN, infinite or exploding loss); trying again would too."""


class InvalidInput(Exception):
    """The request or the data it names cannot be worked on, whatever the machine."""


class StopRequested(Exception):
    """The supervisor asked the worker to stop; what is under `work/` serves the next attempt."""


def classify(error: BaseException) -> Failure:
    """Name the failure that `error`, or anything that it was raised from, stands for."""
    said = str(error).strip().split("\n", 1)[0]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return failure(_first_reason(error), what, "".join(traceback.format_exception(error)))


def failure(reason: FailureReason, what: str, detail: str = "") -> Failure:
    """A failure whose message ends with the advice for its reason.

    Args:
        what: one sentence, cut to 500 characters.
        detail: a traceback or the end of a log; its last 8,000 characters are kept.
    """
    what = what[:_MESSAGE_CHARACTERS]
    message = f"{what}; {_ADVICE[reason]}" if reason in _ADVICE else what
    return Failure(reason=reason, message=message, detail=detail[-_DETAIL_CHARACTERS:])


def reason_in_text(text: str) -> FailureReason | None:
    """The reason that a library's message gives away, None if it has no known phrase."""
    lowered = text.lower()
    return next((reason for phrase, reason in _PHRASES.items() if phrase in lowered), None)


def _first_reason(error: BaseException) -> FailureReason:
    for link in _chain(error):
        if (reason := _reason(link)) is not None:
            return reason
    return "crashed"


def _reason(error: BaseException) -> FailureReason | None:
    if isinstance(error, (Diverged, FloatingPointError)):
        return "diverged"
    if isinstance(error, (InvalidInput, ValidationError)):
        return "invalid_input"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, OSError) and error.errno is not None:
        return _ERRNOS.get(error.errno)
    return reason_in_text(str(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
