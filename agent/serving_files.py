"""Whether the files of a version that is about to serve are still those that were registered, its base's included.

Reading them takes seconds, of a large model minutes, and a turn of the daemon may not: operators, signals and the
watchdog wait for its end. So the daemon has them read in a thread (`Reader`) and asks again at its next turn; a command
line, which has no turns, reads them itself (`read_now`). Nothing of it is kept: a daemon that was killed reads them
again. Called by `agent.operators.verbs` and `agent.steps.promoting`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from agent.root.layout import Layout
from agent.store import Session, versions
from agent.store.versions import Version
from learners.durable import DamagedFolder, IncompleteFolder, verify

__all__ = ["Found", "Read", "Reader", "parts_of", "read_now"]

_PATIENCE_SECONDS = 0.25
"""How long a turn waits for what may be read in a moment."""
_FRESH_SECONDS = 60.0
"""An answer that nobody came for in this time, since cld was paused, says nothing about the files of now."""

Files = tuple[tuple[str, Path, str], ...]


@dataclass(frozen=True)
class Found:
    """What reading showed: the first version whose files are not whole and what is wrong, or that all are.

    Attributes:
        damaged: its id, None where every file is as registered.
        damage: what is wrong with it, for people.
    """

    damaged: str | None = None
    damage: str = ""


Read = Callable[[Layout, Sequence[Version]], Found | None]
"""Reads the files of some versions; None while they are still being read (ask again)."""


def parts_of(tx: Session, version_id: str) -> list[Version]:
    """The versions whose files serve under an id: its own, and the base that its adapter sits on.

    Raises:
        NotFound: there is no such version.
    """
    version = versions.get(tx, version_id)
    return [version, *([versions.get(tx, version.base)] if version.base else [])]


def read_now(layout: Layout, parts: Sequence[Version]) -> Found:
    """Read every file, however long it takes."""
    return _read(_files(layout, parts))


@dataclass
class _Reading:
    files: Files
    found: Future[Found]
    asked: float


@dataclass
class Reader:
    """Reads in the background, for a loop that goes on meanwhile."""

    _readings: dict[str, _Reading] = field(default_factory=dict[str, _Reading], init=False)

    @property
    def busy(self) -> bool:
        """Whether anything is being read."""
        return any(not reading.found.done() for reading in self._readings.values())

    def ask(self, asker: str, layout: Layout, parts: Sequence[Version]) -> Found | None:
        """What the files showed, once; None while they are being read, since this asker asked first.

        Args:
            asker: who will ask again, e.g. a cycle's id. It gets the answer to what it asked itself, never to what
                another asked at another time; if it means other files than before, those are read from the start.

        Raises:
            OSError: a file cannot be read.
        """
        files, now = _files(layout, parts), time.monotonic()
        reading = self._readings.get(asker)
        if reading is None or reading.files != files or now - reading.asked > _FRESH_SECONDS:
            reading = self._readings[asker] = _Reading(files, _begin(files), now)
        reading.asked = now
        if not wait([reading.found], timeout=_PATIENCE_SECONDS).done:
            return None
        del self._readings[asker]
        return reading.found.result()


def _begin(files: Files) -> Future[Found]:
    future: Future[Found] = Future()

    def work() -> None:
        try:
            future.set_result(_read(files))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    # A daemon thread: it only reads, and an executor's threads would hold up the end of the process.
    Thread(target=work, name="serving-files", daemon=True).start()
    return future


def _files(layout: Layout, parts: Sequence[Version]) -> Files:
    return tuple((part.id, layout.version(part.id), part.digest) for part in parts)


def _read(files: Files) -> Found:
    for version, folder, digest in files:
        try:
            verify(folder, digest)
        except (DamagedFolder, IncompleteFolder) as damage:
            return Found(version, str(damage))
    return Found()
