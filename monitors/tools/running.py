"""Running a tool under limits: in a process of its own, which is ended when a call takes too long.

Owns that process. It is started for the first call, serves the later ones, and dies with its `Runner`, with a call that
hangs, or with what it may use up. Called by `monitors.tools.loop`.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple, Self

from learners import confinement
from monitors.tools.contract import Arguments, Tool, ToolError

__all__ = ["Result", "Runner"]

_START_SECONDS: Final = 60.0
_PROCESSOR_SECONDS: Final = 60
_DATA_BYTES: Final = 512 * 2**20


class Result(NamedTuple):
    """What a call came to: a text, and whether it is a complaint."""

    text: str
    failed: bool = False


class Runner:
    """Runs tools, one call at a time; a context that ends the process.

    Args:
        seconds: longest call.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._context = get_context("spawn")
        self._process: Any = None
        self._line: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, tool: Tool, given: Mapping[str, Any]) -> Result:
        """Validate the arguments and run the tool; whatever goes wrong with a call is told as its result."""
        try:
            arguments = tool.validated(given)
        except ToolError as error:
            return Result(str(error), failed=True)
        line = self._line or self._start()
        line.send((tool, arguments))
        if not line.poll(self._seconds):
            self._end()
            return Result(f"{tool.name} took longer than {self._seconds:g} s", failed=True)
        try:
            return Result(*line.recv())
        except EOFError:
            self._end()
            return Result(f"{tool.name} used up what a tool may use", failed=True)

    def _start(self) -> Connection:
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        self._process.start()
        theirs.close()
        if not ours.poll(_START_SECONDS):
            self._end()
            raise TimeoutError(f"the process that runs tools did not start within {_START_SECONDS:g} s; try again")
        ours.recv()
        self._line = ours
        return ours

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._line = self._process = None


def _serve(line: Connection, parent: int) -> None:
    """The other process: answer calls until the line is closed, and die with the process that asked for it."""
    os.environ[confinement.PARENT_VARIABLE] = str(parent)
    confinement.bind_to_parent()
    for kind, most in ((resource.RLIMIT_CPU, _PROCESSOR_SECONDS), (resource.RLIMIT_DATA, _DATA_BYTES)):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))
    line.send(None)
    while True:
        try:
            tool, arguments = line.recv()
        except EOFError:
            return
        line.send(_answered(tool, arguments))


def _answered(tool: Tool, arguments: Arguments) -> Result:
    try:
        return Result(tool.run(arguments))
    except ToolError as error:
        return Result(str(error), failed=True)
    except Exception as error:  # noqa: BLE001 - a broken tool is a wrong answer and not the end of a measurement
        return Result(f"{tool.name} broke: {type(error).__name__}: {error}", failed=True)
