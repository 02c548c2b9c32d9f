"""Every module can be the first that a program imports: no import of a module's top level leads back to it.

Read from the source, since importing three hundred modules in as many fresh interpreters takes minutes. What counts is
what Python does: importing `a.b.c` runs `a` and `a.b` first, but for the packages that the importing module lies in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imports_of(files: dict[str, Path]) -> dict[str, set[str]]:
    """What each module imports when it is imported, by name; of `files` alone."""
    return {name: set(_imported(name, ast.parse(file.read_text()).body, set(files))) for name, file in files.items()}


def _imported(name: str, body: list[ast.stmt], known: set[str]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield from _run(name, alias.name, known)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            for alias in statement.names:
                inner = f"{statement.module}.{alias.name}"
                yield from _run(name, inner if inner in known else statement.module, known)
        elif isinstance(statement, ast.Try):
            yield from _imported(name, statement.body, known)


def _run(name: str, imported: str, known: set[str]) -> Iterator[str]:
    """The module and the packages around it that are not running already."""
    parts = imported.split(".")
    for length in range(1, len(parts) + 1):
        part = ".".join(parts[:length])
        if part in known and (part == imported or not f"{name}.".startswith(f"{part}.")):
            yield part


def modules(*folders: Path) -> dict[str, Path]:
    files = [(folder, file) for folder in folders for file in folder.rglob("*.py")]
    return {
        ".".join(file.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for folder, file in files
    }


def test_no_module_needs_another_to_be_imported_before_it():
    known = modules(ROOT / "learners", ROOT / "monitors", ROOT / "agent")
    assert len(known) > 200
    TopologicalSorter(imports_of(known)).prepare()


def test_a_ring_through_a_package_is_seen(tmp_path: Path):
    (tmp_path / "family").mkdir()
    (tmp_path / "family" / "__init__.py").write_text("from family.member import name\n")
    (tmp_path / "family" / "member.py").write_text("import outside\nname = 1\n")
    (tmp_path / "family" / "words.py").write_text("word = 1\n")
    (tmp_path / "outside.py").write_text("from family.words import word\n")
    known = modules(tmp_path / "family") | {"outside": tmp_path / "outside.py"}
    with pytest.raises(CycleError, match="outside"):
        TopologicalSorter(imports_of(known)).prepare()
