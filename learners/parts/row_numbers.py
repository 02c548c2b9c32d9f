"""Which training rows belong to which record: batch plans count rows, methods think in records.

Owns the numbering of `Run.new` and `Run.remembered`. Called by methods whose plan treats records differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from learners.parts.memory import Remembered
from learners.parts.views import rehearsal_rows
from learners.records import Record

if TYPE_CHECKING:
    from learners.methods.contract import Run

__all__ = ["of_memory", "of_records"]


def of_records(run: Run) -> list[tuple[Record, list[int]]]:
    """Each record that is learned, and the indices of its rows in `Run.new`."""
    limit = run.settings.max_length_tokens
    numbers = _numbered(len(rehearsal_rows(record, run.tokenizer, limit)) for record in run.records)
    return list(zip(run.records, numbers, strict=True))


def of_memory(run: Run) -> list[tuple[Remembered, list[int]]]:
    """Each item of the parent's replay memory, and the indices of its rows in `Run.remembered`."""
    limit, items = run.settings.max_length_tokens, run.memory.items
    numbers = _numbered(
        len(rehearsal_rows(item.record, run.tokenizer, limit, complete=item.complete)) for item in items
    )
    return list(zip(items, numbers, strict=True))


def _numbered(counts: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = []
    start = 0
    for count in counts:
        found.append(list(range(start, start + count)))
        start += count
    return found
