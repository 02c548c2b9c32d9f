"""Every command that a message of cld names is one that there is."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

import learners

ROOT = Path(learners.__path__[0]).parent
NAMED = re.compile(r"`cld ([a-z][a-z_]*)(?: ([a-z][a-z_]*))?")


def unknown(group: click.Group, text: str) -> list[str]:
    """Commands that a text names and that are not there."""
    found: list[str] = []
    for first, second in NAMED.findall(text):
        command = group.commands.get(first)
        inner = getattr(command, "commands", {})
        if command is None or (second and inner and second not in inner):
            found.append(f"cld {first} {second}".strip())
    return found


@pytest.fixture(scope="module")
def group() -> click.Group:
    """The whole command line."""
    return typer.main.get_command(importlib.import_module("agent.cli.main").application())  # pyright: ignore[reportReturnType]


def sources() -> Iterator[Path]:
    for package in ("agent", "monitors", "learners"):
        yield from (ROOT / package).rglob("*.py")


def test_every_command_named_in_the_code_exists(group: click.Group):
    wrong = {str(path.relative_to(ROOT)): found for path in sources() if (found := unknown(group, path.read_text()))}
    assert wrong == {}


def test_a_command_that_is_none_is_found(group: click.Group):
    assert unknown(group, "see `cld statsu`, `cld history lst` and `cld status`") == ["cld statsu", "cld history lst"]
