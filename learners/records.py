"""Records: the items of data that every package passes along.

Owns the shape of a record and its identity; reads and writes nothing but JSON lines. `monitors.intake` makes
records, `agent.store` keeps them, `learners` trains on them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

__all__ = ["Kind", "Record", "evenly", "read_records", "record_id", "write_records"]

_Item = TypeVar("_Item")

Kind = Literal["text", "instruction", "preference", "tool", "feedback"]


class Record(BaseModel):
    """One item of data.

    Attributes:
        id: SHA-256 (hex) of kind and content, so equal data has one identity whatever file it came from.
        source: name of the configured source it arrived by.
        kind: what can be learned from it.
        content: by kind -
            `text`: {"text": str, "title": str | None};
            `instruction`, `tool`: {"messages": [{"role", "content"}, ...]} ending with an assistant turn,
            and for `tool` optionally {"tools": [...]}, for `instruction` optionally {"rationale": str} and {"task": see
            `learners.parts.instructions`};
            `preference`: {"prompt": messages, "chosen": messages, "rejected": messages}, and optionally what it does to
            a norm, {"norm": str, "change": "add", "revise" or "retire"};
            `feedback`: {"prompt": messages, "completion": messages, "label": bool};
            and for both optionally {"group": str}, the people whose word it is.
        origin: file and line or page it was read from, for people; no code opens it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    source: str
    kind: Kind
    content: dict[str, Any]
    origin: str = ""


def record_id(kind: Kind, content: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of kind and content."""
    canonical = json.dumps([kind, content], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a JSON-lines file written by `write_records`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Record.model_validate_json(line)


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Write records as JSON lines; return how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(record.model_dump_json() + "\n")
            count += 1
    return count


def evenly(items: Sequence[_Item], most: int) -> list[_Item]:
    """At most `most` items, evenly from first to last."""
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]
