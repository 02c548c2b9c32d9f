"""Intake: the files of one source become records, or stand in quarantine with the reason.

Owns the `intake` job: which reader a file gets, and the accounting (promise P9). Every row, passage or unreadable file
counts once as read, and as exactly one of kept, duplicate or quarantined; duplicates are those within the job, the
store finds those of earlier jobs. Records get their kind and id here, never from the data. Imports no torch.

A file is read whole, once, from one descriptor, and what was hashed is what is parsed. A file that changes meanwhile
counts for nothing: it is `deferred`, and comes again when it has settled.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from learners.records import Kind, Record, record_id
from monitors.intake.documents import DOCUMENTS, read_document
from monitors.intake.guards import Refused, excerpt
from monitors.intake.passages import split_passages
from monitors.intake.shapes import as_content
from monitors.intake.tables import TABLES, Row, read_rows
from monitors.intake_job import IntakeFile, IntakeResult, IntakeSpec, Quarantined
from monitors.sources.files import FileStamp, NotRegularFile, open_regular, stamp_of

__all__ = ["FILE_TYPES", "IntakeJob", "intake"]

FILE_TYPES: tuple[str, ...] = (*DOCUMENTS, *TABLES)
_CHECK_EVERY = 500


class IntakeJob(Protocol):
    """What this handler uses of `learners.worker.Job`."""

    @property
    def output(self) -> Path:
        """Folder for the result's files."""
        ...

    @property
    def progress(self) -> Callable[[float, float, str], None]:
        """Report done, total and a message."""
        ...

    @property
    def check_stop(self) -> Callable[[], None]:
        """Raise if the job was asked to stop."""
        ...


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing read: a record to be, or the reason why not."""

    place: str
    kind: Kind = "text"
    content: dict[str, Any] | None = None
    refused: str = ""
    excerpt: str = ""


@dataclass(slots=True)
class _Books:
    """The job's open output files and what was counted so far."""

    request: IntakeSpec
    records: TextIO
    quarantine: TextIO
    seen: set[bytes] = field(default_factory=set[bytes])
    kinds: Counter[Kind] = field(default_factory=Counter[Kind])

    def enter(self, name: str, item: _Item) -> str:
        """Write one item down; return which count it belongs to."""
        origin = f"{name}:{item.place}" if item.place else name
        if item.content is None:
            refused = Quarantined(origin=origin, reason=excerpt(item.refused), excerpt=item.excerpt)
            self.quarantine.write(refused.model_dump_json() + "\n")
            return "quarantined"
        identity = record_id(item.kind, item.content)
        if bytes.fromhex(identity) in self.seen:
            return "duplicate"
        self.seen.add(bytes.fromhex(identity))
        record = Record(id=identity, source=self.request.source, kind=item.kind, content=item.content, origin=origin)
        self.records.write(record.model_dump_json() + "\n")
        self.kinds[item.kind] += 1
        return "kept"


def intake(spec: dict[str, Any], job: IntakeJob) -> IntakeResult:
    """Read the files of an `IntakeSpec`; write `records.jsonl` and `quarantine.jsonl` into the job's output.

    Raises:
        pydantic.ValidationError: `spec` is no `IntakeSpec`.
        OSError: the output cannot be written.
    """
    request = IntakeSpec.model_validate(spec)
    files: list[IntakeFile] = []
    deferred: dict[str, str] = {}
    job.output.mkdir(parents=True, exist_ok=True)
    with (
        (job.output / "records.jsonl").open("w", encoding="utf-8") as records,
        (job.output / "quarantine.jsonl").open("w", encoding="utf-8") as quarantine,
    ):
        books = _Books(request, records, quarantine)
        for index, path in enumerate(request.files):
            job.check_stop()
            job.progress(index, len(request.files), f"reading {path.name}")
            try:
                files.append(_read_file(path, books, job.check_stop))
            except _UnsettledError as error:
                deferred[str(path)] = str(error)
    job.progress(len(request.files), len(request.files), f"read {len(files)} files")
    return IntakeResult(files=tuple(files), kinds=dict(books.kinds), deferred=deferred)


class _UnsettledError(Exception):
    """The file cannot be accounted for now; the next scan decides again."""


def _read_file(path: Path, books: _Books, check_stop: Callable[[], None]) -> IntakeFile:
    data, stamp, refused = _load(path, books.request.max_file_bytes)
    items = iter([_Item("", refused=refused)]) if refused else _items(data, path.suffix.lower(), books.request)
    counts = Counter({"kept": 0, "duplicate": 0, "quarantined": 0})
    read = 0
    for item in items:
        read += 1
        counts[books.enter(path.name, item)] += 1
        if read % _CHECK_EVERY == 0:
            check_stop()
    return IntakeFile(
        path=str(path),
        size_bytes=stamp.size_bytes,
        mtime_ns=stamp.mtime_ns,
        sha256="" if refused else hashlib.sha256(data).hexdigest(),
        read=read,
        **counts,
    )


def _load(path: Path, max_file_bytes: int) -> tuple[bytes, FileStamp, str]:
    """The file's bytes, its stamp, and why it is refused unread (else empty)."""
    try:
        with open_regular(path) as file:
            before = os.fstat(file.fileno())
            if before.st_size > max_file_bytes:
                return b"", stamp_of(before), f"is {before.st_size} bytes long; at most {max_file_bytes} are read"
            data = file.read(max_file_bytes + 1)
            after = os.fstat(file.fileno())
    except (NotRegularFile, FileNotFoundError) as error:
        raise _UnsettledError(str(error)) from error
    except OSError as error:
        # Deferred it would come back with every scan: refused, it waits for a change that people can make.
        status = path.stat(follow_symlinks=False)
        return b"", stamp_of(status), f"cannot be read ({error.strerror}); make it readable, then `touch` it"
    if stamp_of(before) != stamp_of(after) or len(data) != after.st_size:
        raise _UnsettledError(f"{str(path)!r} changed while it was read; it is read again once it has settled")
    return data, stamp_of(after), ""


def _items(data: bytes, suffix: str, request: IntakeSpec) -> Iterator[_Item]:
    if suffix in TABLES:
        for row in read_rows(data, suffix, request.max_line_bytes):
            yield from _row_items(row, request.passage_characters)
    elif suffix in DOCUMENTS:
        yield from _document_items(data, suffix, request.passage_characters)
    else:
        known = ", ".join(FILE_TYPES)
        yield _Item("", refused=f"has the name ending {suffix!r}; known are {known}", excerpt=excerpt(data))


def _document_items(data: bytes, suffix: str, max_characters: int) -> Iterator[_Item]:
    try:
        for number, (text, title) in enumerate(read_document(data, suffix, max_characters), start=1):
            yield _Item(f"passage {number}", content={"text": text, "title": title})
    except Refused as error:
        yield _Item("", refused=str(error), excerpt=excerpt(data))


def _row_items(row: Row, max_characters: int) -> Iterator[_Item]:
    if row.refused is not None:
        yield _Item(row.place, refused=row.refused, excerpt=row.sample())
        return
    try:
        kind, content = as_content(row.value)
    except Refused as error:
        yield _Item(row.place, refused=str(error), excerpt=row.sample())
        return
    if kind != "text" or len(content["text"]) <= max_characters:
        yield _Item(row.place, kind, content)
        return
    for number, passage in enumerate(split_passages(content["text"], max_characters), start=1):
        yield _Item(f"{row.place}, passage {number}", kind, {**content, "text": passage})
