"""Tables: the rows of JSON Lines, JSON, CSV and Parquet files, one by one.

Owns the formats; what a row means is `shapes`' business. A row that breaks a rule of its format is yielded as
refused and the reading goes on behind it; a file that breaks in the middle yields its rest as one refused item.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from monitors.intake.guards import MAX_DEPTH, Refused, excerpt, parse_json, require_shallow

__all__ = ["TABLES", "Row", "read_rows"]

_MAX_EXPANDED_BYTES = 500_000_000
_BATCH_ROWS = 64
_MAX_COLUMNS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stood, and its value or the reason why it has none; `matter` is what it was read from."""

    place: str
    value: Any = None
    refused: str | None = None
    matter: bytes | str = ""

    def sample(self) -> str:
        """The row's beginning, for people."""
        return excerpt(self.matter or ("" if self.value is None else repr(self.value)[:1000]))


def read_rows(data: bytes, suffix: str, max_line_bytes: int) -> Iterator[Row]:
    """Yield every row of a table.

    Args:
        data: the file's bytes.
        suffix: lower-case name ending, a key of `TABLES`.
        max_line_bytes: a longer line, or a row with more text, is refused.
    """
    return TABLES[suffix](data, max_line_bytes)


def _json_lines(data: bytes, max_line_bytes: int) -> Iterator[Row]:
    for number, line in enumerate(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), start=1):
        stripped = line.strip()
        if stripped:
            yield _parsed(stripped, f"line {number}", max_line_bytes)


def _parsed(line: bytes, place: str, max_line_bytes: int) -> Row:
    if len(line) > max_line_bytes:
        return Row(place, refused=f"is {len(line)} bytes long; at most {max_line_bytes} are read", matter=line)
    try:
        return Row(place, value=parse_json(line), matter=line)
    except Refused as error:
        return Row(place, refused=str(error), matter=line)


def _json(data: bytes, max_line_bytes: int) -> Iterator[Row]:
    """A JSON file is a list of rows, one row, or JSON lines under another name."""
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        yield from _one_or_lines(data, max_line_bytes)
        return
    try:
        rows = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = excerpt(f"is not valid JSON: {error}")
        yield Row("file", refused=reason, matter=data)
        return
    for number, row in enumerate(rows, start=1):
        # Written again, so that a row of a list passes the very checks that a line passes.
        yield _rewritten(row, f"row {number}", max_line_bytes)


def _rewritten(row: object, place: str, max_line_bytes: int) -> Row:
    try:
        return _parsed(json.dumps(row).encode(), place, max_line_bytes)
    except RecursionError:
        return Row(place, refused=f"is nested deeper than {MAX_DEPTH} levels")


def _one_or_lines(data: bytes, max_line_bytes: int) -> Iterator[Row]:
    lines = [line for line in data.splitlines() if line.strip()]
    whole = len(lines) > 1 and len(data) <= max_line_bytes and _parsed(data.strip(), "file", max_line_bytes)
    if whole and whole.refused is None:
        yield whole
    else:
        yield from _json_lines(data, max_line_bytes)


def _csv(data: bytes, max_line_bytes: int) -> Iterator[Row]:
    # surrogateescape carries a bad byte to its own row, where the text check refuses it; the others are read.
    text = io.StringIO(data.decode("utf-8-sig", "surrogateescape"), newline="")
    limit_before = csv.field_size_limit(max_line_bytes)
    try:
        yield from _csv_rows(csv.reader(text, strict=True), max_line_bytes)
    finally:
        csv.field_size_limit(limit_before)


def _csv_rows(reader: Any, max_line_bytes: int) -> Iterator[Row]:
    header: list[str] | None = None
    while True:
        try:
            cells = cast(list[str], next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(f"line {reader.line_num}", refused=f"is not valid CSV: {error}")
            continue
        if header is None:
            header = [name.strip() for name in cells]
        elif cells:
            yield _csv_row(header, cells, f"line {reader.line_num}", max_line_bytes)


def _csv_row(header: list[str], cells: list[str], place: str, max_line_bytes: int) -> Row:
    matter = ",".join(cells)
    if len(cells) != len(header):
        return Row(place, refused=f"has {len(cells)} fields, its header has {len(header)}", matter=matter)
    if len(matter) > max_line_bytes:
        return Row(place, refused=f"holds more than {max_line_bytes} characters", matter=matter)
    return Row(place, value=dict(zip(header, cells, strict=True)), matter=matter)


def _parquet(data: bytes, max_line_bytes: int) -> Iterator[Row]:
    import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
    import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]

    number = 0
    try:
        file = cast(Any, pq.ParquetFile(io.BytesIO(data)))
        _require_small(file.metadata)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            for index in range(batch.num_rows):
                number += 1
                yield _parquet_row(batch, index, number, max_line_bytes)
    except Refused as error:
        yield Row("file", refused=str(error))
    except (pa.ArrowException, OSError, ValueError) as error:
        yield Row(f"behind row {number}", refused=excerpt(f"the rest is not valid Parquet: {error}"))


def _parquet_row(batch: Any, index: int, number: int, max_line_bytes: int) -> Row:
    place = f"row {number}"
    if batch.slice(index, 1).nbytes > max_line_bytes:
        return Row(place, refused=f"holds more than {max_line_bytes} bytes")
    value: dict[str, Any] = {name: batch.column(name)[index].as_py() for name in batch.schema.names}
    try:
        require_shallow(value)
    except Refused as error:
        return Row(place, refused=str(error))
    # Parquet has no absent fields: a null is what a missing key is in JSON.
    return Row(place, value=_without_nulls(value))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return {key: _without_nulls(inner) for key, inner in items if inner is not None}
    return [_without_nulls(inner) for inner in cast(list[Any], value)] if isinstance(value, list) else value


def _require_small(metadata: Any) -> None:
    expanded_bytes = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if expanded_bytes > _MAX_EXPANDED_BYTES or metadata.num_columns > _MAX_COLUMNS:
        raise Refused(f"unpacks to {expanded_bytes} bytes in {metadata.num_columns} columns: more than "
                      f"{_MAX_EXPANDED_BYTES} bytes or {_MAX_COLUMNS} columns")  # fmt: skip


TABLES: Final[Mapping[str, Callable[[bytes, int], Iterator[Row]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}
