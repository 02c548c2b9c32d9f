"""Data files of a public set to a suite: every usable row an item, a seeded part of them where fewer are wanted.

Pure apart from reading the files. The same files, number and seed give the same suite, and a smaller number gives a
part of a larger one's items, so that raising it keeps what was measured comparable item by item.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from monitors.datasets.contract import DatasetError, Item, PublicSet
from monitors.datasets.reading import DataFile, data_files, parse
from monitors.probes.suites import Suite, SuiteError, read_probe

__all__ = ["Made", "make", "sample"]


@dataclass(frozen=True, slots=True)
class Made:
    """A suite that was made, and of what.

    Attributes:
        files: SHA-256 (hex) of each data file, by name.
        rows: rows that the files hold.
        unusable: how many of them make no item (no answer, equal choices, not the part that the suite is about).
    """

    suite: Suite
    files: dict[str, str]
    rows: int
    unusable: int


def make(name: str, public: PublicSet, place: Path, *, items: int, seed: int) -> Made:
    """Make the suite `name` of the files in `place`.

    Args:
        items: most items, evenly over slices; 0 for all.

    Raises:
        DatasetError: the files are missing, or are not what the set's authors publish.
    """
    files = data_files(public, place)
    try:
        rows = [item for file in files for item in _items(public, file, None if len(files) > 1 else name)]
        usable = [item for item in rows if item is not None]
        probes = tuple(read_probe(item) for item in sample(usable, items, seed))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        reason = str(error) if isinstance(error, SuiteError) else f"{type(error).__name__}: {error}"
        raise DatasetError(f"the files are not those of {name!r} ({public.source}): {reason}") from error
    if not probes:
        raise DatasetError(f"none of the {len(rows)} rows makes an item of {name!r} ({public.source})")
    suite = Suite(suite=name, role=public.role, description=_description(public), items=probes)
    return Made(suite, {file.name: file.sha256 for file in files}, len(rows), len(rows) - len(usable))


def sample(items: Sequence[Item], most: int, seed: int) -> list[Item]:
    """At most `most` items (0: all), as evenly over slices as they allow, in the order of `items`.

    Within a slice the order of choice is by a hash of seed and id, so that neither file order nor other slices matter.
    """
    if not 0 < most < len(items):
        return list(items)
    slices: dict[str, list[Item]] = {}
    for item in items:
        slices.setdefault(item["slice"], []).append(item)
    ranked = [
        (rank, _hash(seed, item["slice"]), item["id"])
        for members in slices.values()
        for rank, item in enumerate(sorted(members, key=lambda item: _hash(seed, item["id"])))
    ]
    chosen = {name for _, _, name in sorted(ranked)[:most]}
    return [item for item in items if item["id"] in chosen]


def _items(public: PublicSet, file: DataFile, only: str | None) -> Iterator[Item | None]:
    """Items of one file; an id is the row's number, which stays when other rows are unusable.

    Args:
        only: name of the set where this is its only file; one of several files is a slice of its own.
    """
    stem = only or _stem(file.name)
    for number, row in enumerate(public.rows(parse(file)), start=1):
        item = public.item(row)
        yield None if item is None else {"id": f"{stem}-{number:05d}", "slice": "all" if only else stem, **item}


def _stem(name: str) -> str:
    """What tells a data file from the others of its set: its name, an Arrow file's folder above the split."""
    path = PurePosixPath(name)
    words = path.parts[-3] if path.suffix == ".arrow" else path.stem
    return re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-")[:100] or "row"


def _description(public: PublicSet) -> str:
    about = f"{public.about[0].upper()}{public.about[1:]} ({public.paper})."
    return f"{about} Source: {public.source}. Licence of the data: {public.licence}."


def _hash(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()
