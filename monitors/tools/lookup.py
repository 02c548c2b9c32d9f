"""Looking up an entry by its key, exactly or by the nearest one. The entries are the tool's configuration."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, cast

from pydantic import Field

from monitors.tools.contract import Arguments, Tool, ToolError

__all__ = ["Lookup"]

_LEAST_LIKENESS = 0.6


class _Key(Arguments, frozen=True):
    key: str = Field(min_length=1, max_length=200)


class Lookup(Tool, frozen=True):
    """A table of keys and values.

    Attributes:
        entries: key -> what is known of it: text, or any JSON value.
    """

    name: ClassVar[str] = "lookup"
    description: ClassVar[str] = "Looks up an entry by its key."
    arguments: ClassVar[type[Arguments]] = _Key
    examples: ClassVar[tuple[tuple[str, Mapping[str, Any]], ...]] = (
        ("What is known of order A-17?", {"key": "A-17"}),
        ("Find the entry of Marlow.", {"key": "Marlow"}),
        ("Where is parcel 9921 now?", {"key": "9921"}),
    )

    entries: dict[str, Any]

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Read entries from JSON lines {"key": ..., "value": ...}; a later line replaces an earlier one of its key.

        Raises:
            ValueError: a line is no such object; the message names it.
        """
        entries: dict[str, Any] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
            if line.strip():
                value: object = json.loads(line)
                row = cast(dict[str, Any], value) if isinstance(value, dict) else {}
                if not isinstance(row.get("key"), str) or "value" not in row:
                    raise ValueError(f'{path.name}, line {number}: is not {{"key": "...", "value": ...}}: {line!r:.80}')
                entries[row["key"]] = row["value"]
        return cls(entries=entries)

    def run(self, arguments: _Key) -> str:
        """The entry of the key without regard to case, or of the key most like it, which is then named.

        Raises:
            ToolError: no key is like it.
        """
        keys = {key.strip().casefold(): key for key in self.entries}
        asked = arguments.key.strip().casefold()
        if asked in keys:
            return _told(self.entries[keys[asked]])
        near = difflib.get_close_matches(asked, keys, n=1, cutoff=_LEAST_LIKENESS)
        if not near:
            raise ToolError(f"there is no entry like {arguments.key!r:.80}")
        return f"{keys[near[0]]}: {_told(self.entries[keys[near[0]]])}"


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
