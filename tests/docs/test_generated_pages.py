"""Promise of docs/: the pages about the program say what the program says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

PAGES: dict[Path, str] = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "generate.py"))["pages"]()


@pytest.mark.parametrize("path", sorted(PAGES), ids=lambda path: path.name)
def test_the_committed_page_is_current(path: Path):
    assert path.read_text(encoding="utf-8") == PAGES[path], "run `make docs`"


@pytest.mark.parametrize("word", ["cld rollback [VERSION]", "cld cycle abort", "| 78 |", "`--dry-run`", "FILE\\|-"])
def test_the_page_of_the_command_line_names(word: str):
    assert word in next(text for path, text in PAGES.items() if path.name == "cli.md")
