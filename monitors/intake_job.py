"""Request and answer of the `intake` job. Imports no torch; the folder protocol is `learners.job`'s."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learners.records import Kind

__all__ = ["IntakeFile", "IntakeResult", "IntakeSpec", "Quarantined"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IntakeSpec(_Frozen):
    """Read files of one source into records.

    Attributes:
        files: absolute paths of settled regular files; opened without following links.
        max_line_bytes, max_file_bytes: larger ones are quarantined, with the reason.
        passage_characters: bound of one `text` record; longer text is cut at headings and paragraphs.
    """

    source: str
    files: tuple[Path, ...]
    max_line_bytes: int = 1_000_000
    max_file_bytes: int = 50_000_000
    passage_characters: int = Field(default=1600, ge=100)


class Quarantined(_Frozen):
    """One refused item: where it stood and why; `excerpt` holds at most 200 printable characters."""

    origin: str
    reason: str
    excerpt: str = ""


class IntakeFile(_Frozen):
    """Accounting of one file (promise P9): read = kept + duplicate + quarantined.

    Attributes:
        path, size_bytes, mtime_ns, sha256: the ledger's key and the state of the file that was read; the
            hash is empty where the file was refused unread.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    read: int
    kept: int
    duplicate: int
    quarantined: int

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        found = self.kept + self.duplicate + self.quarantined
        if self.read != found:
            raise ValueError(f"{self.path!r}: {self.read} items read but {found} accounted for")
        return self


class IntakeResult(_Frozen):
    """Answer of an `intake` job: `output/records.jsonl` (`Record`) and `output/quarantine.jsonl` (`Quarantined`).

    Attributes:
        deferred: path to reason, for files that vanished, changed while they were read, or were replaced by
            something else; nothing of them counts, and a later scan finds them again.
    """

    files: tuple[IntakeFile, ...]
    deferred: dict[str, str] = Field(default_factory=dict)
    kinds: dict[Kind, int] = Field(default_factory=dict)
    notes: dict[str, Any] = Field(default_factory=dict)
