"""The items of a task as a worker lists them, so that the daemon, which cannot load the task, asks for them by id.

The diagnosing worker loads every task of a cycle once and leaves the list in its output; the measuring steps lay it
beside their copies of the suite files, in the folder `_items`, where `load_suite` finds it. A list that was made of
another task, data or setting has another digest and counts as none. What an item asks is not written down: it may be
harmful, and the worker that compares it with training data has it in memory. Owns that file; loads no task.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from learners.durable import write_atomic
from monitors.probes.probe import Entry

__all__ = ["FOLDER", "copy_listing", "listed", "write_listing"]

FOLDER: Final = "_items"
"""No folder of tasks is named so: their names begin with a letter or a digit."""


class _Listing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    items: tuple[Entry, ...]


def write_listing(folder: Path, suite: str, digest: str, items: Sequence[Entry]) -> None:
    """Write the items of the suite with this name and digest, but for their texts, into `folder`/_items."""
    (folder / FOLDER).mkdir(exist_ok=True)
    silent = tuple(replace(item, text="") for item in items)
    write_atomic(_file(folder, suite), _Listing(digest=digest, items=silent).model_dump_json())


def listed(folder: Path, suite: str, digest: str) -> tuple[Entry, ...]:
    """The items of a suite as they were listed in `folder`/_items; none where they were not, or of another digest."""
    file = _file(folder, suite)
    if not file.is_file():
        return ()
    found = _Listing.model_validate_json(file.read_bytes())
    return found.items if found.digest == digest else ()


def copy_listing(source: Path, folder: Path, suite: str) -> None:
    """Copy a suite's list, where there is one, from `source`/_items to `folder`/_items."""
    if _file(source, suite).is_file():
        (folder / FOLDER).mkdir(exist_ok=True)
        shutil.copy(_file(source, suite), _file(folder, suite))


def _file(folder: Path, suite: str) -> Path:
    return folder / FOLDER / f"{suite}.json"
