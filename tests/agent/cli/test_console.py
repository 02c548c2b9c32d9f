"""Promises of `agent.cli.console`: what others wrote cannot speak to the terminal, and nothing prints around it."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agent.cli
from agent.cli import console

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07text",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "over\rwritten",
    "back\b\b\bspace",
    "bell\x07",
    "\x9b31mC1 introducer",
    "\u202egnp.exe",
    "zero\u200bwidth",
    "\x1bP+q544e\x1b\\",
    "\x00nul",
    "\x1b",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_character_of_data_reaches_the_terminal(text: str, capsys: pytest.CaptureFixture[str]):
    console.say(text)
    console.table(["name"], [[text]], empty="")
    console.lines(text, {text: text})
    out = capsys.readouterr().out
    assert not [character for character in out if character != "\n" and not character.isprintable()]


@given(st.text())
def test_cleaned_text_holds_no_control_character(text: str):
    cleaned = console.clean(text)
    assert "\x1b" not in cleaned and "\r" not in cleaned and "\x9b" not in cleaned
    assert console.clean(cleaned) == cleaned


def test_plain_text_of_any_language_passes_unchanged():
    text = "Überprüfung 検証 проверка\n\tحسنا 👍"
    assert console.clean(text) == text


def test_markup_of_rich_in_data_is_shown_not_obeyed(capsys: pytest.CaptureFixture[str]):
    console.table(["[bold]a[/]"], [["[link=http://evil]x[/link] :smile:"]], empty="")
    out = capsys.readouterr().out
    assert "[link=http://evil]x[/link] :smile:" in out and "[bold]a[/]" in out


def test_json_keeps_every_character_and_escapes_it(capsys: pytest.CaptureFixture[str]):
    console.json_value({"text": "\x1b[31m"})
    out = capsys.readouterr().out
    assert "\x1b" not in out and json.loads(out) == {"text": "\x1b[31m"}


def test_an_empty_table_says_what_to_do(capsys: pytest.CaptureFixture[str]):
    console.table(["a"], [], empty="nothing yet")
    assert capsys.readouterr().out == "nothing yet\n"


def prints(tree: ast.AST) -> list[int]:
    """Lines that write to a stream, whatever they call it."""
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id in ("print", "input", "breakpoint"))
        or (isinstance(node, ast.Attribute) and node.attr in ("echo", "secho", "stdout", "stderr", "print", "write"))
        or (isinstance(node, (ast.Import, ast.ImportFrom)) and "rich" in ast.unparse(node))
    ]
    return sorted(lines)


@pytest.mark.parametrize(
    "code", ["print(1)", "typer.echo(1)", "sys.stderr.write('x')", "from rich import print", "Console().print(1)"]
)
def test_the_walk_finds_a_planted_print(code: str):
    assert prints(ast.parse(code))


def test_nothing_in_the_command_line_prints_around_the_console():
    files = [file for file in Path(agent.cli.__path__[0]).rglob("*.py") if file.name != "console.py"]
    found = {file.name: lines for file in files if (lines := prints(ast.parse(file.read_text())))}
    assert found == {}


def test_every_command_is_short():
    """Parse, call, render: what is longer belongs into a module of `agent`."""
    too_long = {
        f"{file.name}:{node.name}": length
        for file in Path(agent.cli.__path__[0]).glob("*.py")
        if file.name not in ("views.py", "console.py", "main.py", "lifecycle.py", "log_lines.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and (length := node.end_lineno - node.body[0].lineno + 1) > 15
    }
    assert too_long == {}
