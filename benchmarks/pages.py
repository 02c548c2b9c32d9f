"""Sections of docs/benchmarks.md that benchmarks write, each between its own pair of markers.

Owns the markers: a section is replaced where it stands and appended where it is new, so no benchmark touches what
another wrote. Called by the benchmarks' `--publish`.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["PAGE", "write_section"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_HEAD = "# Benchmarks\n\nEvery table stands beside the command that wrote it.\n"


def write_section(name: str, text: str, page: Path | None = None) -> None:
    """Put `text` between the markers of the section called `name`.

    Args:
        name: stable id of the section, e.g. `methods-cit`.
        text: Markdown, beginning with a heading of level two.
        page: `PAGE` unless told; made with a heading where it is not there yet.
    """
    page = page or PAGE
    begin, end = f"<!-- begin {name}: written by a benchmark -->", f"<!-- end {name} -->"
    section = f"{begin}\n\n{text.strip()}\n\n{end}\n"
    present = page.read_text(encoding="utf-8") if page.exists() else _HEAD
    before, found, rest = present.partition(begin)
    after = rest.partition(f"{end}\n")[2]
    content = before + section + after if found else f"{present.rstrip()}\n\n{section}"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(content, encoding="utf-8")
