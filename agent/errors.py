"""Every error that cld raises on purpose, and the exit code each one ends a command with.

    CldError                      1   a rule was broken that has no class of its own
    |-- ConfigError              78   cld.toml, the environment or a flag holds a wrong value
    |   `-- NoDataRoot           78   no folder with a cld.toml was named or found
    |-- InvalidId                 2   an id is not made of [a-z0-9-]{1,64}
    |-- InvalidValue              2   a word of the command line is none that can stand there
    |-- NotFound                  3   nothing of that kind carries the id
    |-- Refused                   4   the state of things does not allow the change
    |   `-- GenerationMoved       5   someone else promoted or rolled back in between
    |-- AlreadyRunning            6   another process holds the data root
    |-- NotStarted                7   the daemon ended before it served, or would not stop
    |-- MissingDependency        69   a package or model that the command needs is not installed
    |-- DamagedVersion           65   a version's files do not match their hashes
    `-- StoreError               74   the database cannot be read or written
        |-- StoreDamaged         74   the database file is not a whole database
        |-- StoreBusy            75   the database stayed locked for longer than the busy timeout
        `-- SchemaTooNew         78   the database was written by a newer cld

The store adds leaves below these (`agent.store.errors`). The packages below `agent` raise their own
(`learners.durable.DamagedFolder`), which `EXIT_CODES` names too, so that every code stands in one table, which
docs/cli.md prints.

Owns the classes and the table. It never prints and never exits: `agent.cli` does, `agent.daemon.loop` records. A
message says what happened, the value, the rule, and the command or key that fixes it.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "EXIT_CODES", "AlreadyRunning", "CldError", "ConfigError", "DamagedVersion", "GenerationMoved", "InvalidId",
    "InvalidValue", "MissingDependency", "NoDataRoot", "NotFound", "NotStarted", "Refused", "SchemaTooNew", "StoreBusy",
    "StoreDamaged", "StoreError", "error_kind", "exit_code", "kind_of",
]  # fmt: skip


class CldError(Exception):
    """A rule was broken that has no class of its own."""


class ConfigError(CldError):
    """cld.toml, the environment or a flag holds a wrong value.

    Attributes:
        problems: one sentence per wrong value, all of them.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NoDataRoot(ConfigError):
    """No folder with a cld.toml was named or found; `cld init` makes one."""


class InvalidId(CldError, ValueError):
    """An id is not made of [a-z0-9-]{1,64}; ids become paths, so nothing else is let through."""


class InvalidValue(CldError, ValueError):
    """A word of the command line is none that can stand there."""


class NotFound(CldError, LookupError):
    """Nothing of that kind carries the id."""


class Refused(CldError):
    """The state of things does not allow the change; the message names the rule."""


class GenerationMoved(Refused):
    """Someone else promoted or rolled back in between; look at `cld status` and ask again."""


class AlreadyRunning(CldError):
    """Another process holds the data root.

    Attributes:
        pid: process id of the holder, 0 where the lock file does not say.
        start_time: when the holder started, seconds since the epoch, 0.0 where the lock file does not say.
    """

    def __init__(self, message: str, pid: int = 0, start_time: float = 0.0) -> None:
        super().__init__(message)
        self.pid = pid
        self.start_time = start_time


class NotStarted(CldError):
    """The daemon ended before it served, or would not stop; `cld logs` tells more."""


class MissingDependency(CldError):
    """A package or model that the command needs is not installed; `cld doctor` says how to get it."""


class DamagedVersion(CldError):
    """A version's files do not match their hashes, so it is never served."""


class StoreError(CldError):
    """The database cannot be read or written."""


class StoreDamaged(StoreError):
    """The database file is not a whole database; `cld restore FILE` puts a backup in its place."""


class StoreBusy(StoreError):
    """The database stayed locked for longer than the busy timeout; asking again is safe."""


class SchemaTooNew(StoreError):
    """The database was written by a newer cld; install that version again or restore an older backup."""


EXIT_CODES: Final[dict[str, tuple[int, str]]] = {
    "": (0, "done, or found already so"),
    "CldError": (1, "a rule was broken that has no code of its own, or `cld doctor` or `cld demo` found a fault"),
    "InvalidId": (2, "the command line is wrong, or an id is not made of [a-z0-9-]{1,64}"),
    "InvalidValue": (2, "a word of the command line is none that can stand there"),
    "NotFound": (3, "nothing of that kind carries the id"),
    "Refused": (4, "the state of things does not allow the change"),
    "GenerationMoved": (5, "someone else promoted or rolled back in between: look and decide again"),
    "AlreadyRunning": (6, "another process holds the data root"),
    "NotStarted": (7, "the daemon ended before it served, or would not stop"),
    "DamagedVersion": (65, "a version's files do not match their hashes"),
    "DamagedFolder": (65, "a folder's files do not match their hashes"),
    "IncompleteFolder": (65, "a folder has no complete manifest"),
    "DatasetError": (65, "a public set cannot be had, or its file is not the one that is pinned"),
    "SuiteError": (65, "a probe suite's file is wrong"),
    "InvalidInput": (65, "a worker was asked for something that cannot be done"),
    "MissingDependency": (69, "a package or model is not installed: see `cld doctor`"),
    "StoreError": (74, "the database cannot be read or written"),
    "OSError": (74, "a file or folder cannot be read or written"),
    "StoreDamaged": (74, "the database file is not a whole database: see `cld restore`"),
    "StoreBusy": (75, "the database stayed locked: asking again is safe"),
    "SchemaTooNew": (78, "the database was written by a newer cld"),
    "ConfigError": (78, "cld.toml, the environment or a flag holds a wrong value; systemd does not restart on it"),
    "KeyboardInterrupt": (130, "interrupted by Ctrl-C"),
}
"""Exit code and meaning by class name; a class that is not listed has its nearest listed parent's."""


def exit_code(error: BaseException) -> int | None:
    """The exit code that `error` ends a command with; None for a fault of cld itself."""
    return next((EXIT_CODES[kind.__name__][0] for kind in type(error).__mro__ if kind.__name__ in EXIT_CODES), None)


def error_kind(error: BaseException) -> str:
    """Name of the class as machines read it in `--json`, e.g. `stale_generation`."""
    return kind_of(type(error).__name__)


def kind_of(name: str) -> str:
    """Name of a class of errors as machines read it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
