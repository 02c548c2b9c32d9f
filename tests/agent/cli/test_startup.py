"""Promises of the `cld` process: quick, without a training library, and the same words as in-process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import application
from tests.agent.operating import Operated

HEAVY = ("torch", "transformers", "peft", "trl", "sentence_transformers", "faiss", "datasets", "sqlalchemy", "numpy")

MEASURED = textwrap.dedent("""
    import json, resource, sys
    from agent.cli import main
    for words in json.loads(sys.argv[1]):
        sys.argv = ["cld", *words]
        code = main()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        loaded = sorted(name for name in sys.modules if "." not in name)
        print(json.dumps({"code": code, "cpu_seconds": usage.ru_utime + usage.ru_stime, "loaded": loaded}))
""")


def measured(*commands: tuple[str, ...]) -> list[dict[str, Any]]:
    """Run commands one after another in a process of their own; CPU time, because others may load the machine.

    Returns:
        exit code, CPU seconds and modules loaded so far after each.
    """
    given = [sys.executable, "-c", MEASURED, json.dumps(commands)]
    done = subprocess.run(given, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"code"')]


@pytest.mark.parametrize("words", [("--help",), ("status",), ("status", "--json"), ("stop", "--help")], ids=" ".join)
def test_the_first_commands_of_anyone_answer_within_half_a_second_without_heavy_libraries(
    operated: Operated, words: tuple[str, ...]
):
    runs = (measured(("--root", str(operated.layout.root), *words))[0] for _ in range(3))
    first = next(runs)
    assert first["code"] == 0
    assert not set(HEAVY) & set(first["loaded"])
    assert any(run["cpu_seconds"] < 0.5 for run in chain((first,), runs))


COMMANDS = (
    ("pause",), ("cycle", "list"), ("history", "list"), ("doctor",), ("config", "show"), ("methods", "list"),
)  # fmt: skip


def test_no_command_imports_a_training_library(operated: Operated):
    runs = measured(*(("--root", str(operated.layout.root), *words) for words in COMMANDS))
    trainers = {"torch", "transformers", "peft", "trl", "sentence_transformers", "accelerate", "datasets"}
    found = {words: (run["code"], trainers & set(run["loaded"])) for words, run in zip(COMMANDS, runs, strict=True)}
    assert found == dict.fromkeys(COMMANDS, (0, set()))


def test_the_exit_code_of_the_process_is_the_commands(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "--root", str(tmp_path), "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78 and done.stderr.startswith("cld: ") and "Traceback" not in done.stderr


def test_a_reader_that_goes_away_sees_no_traceback(operated: Operated):
    command = f"{sys.executable} -m agent.cli --root {operated.layout.root} config show | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1 and done.stderr == ""


def test_a_terminal_without_utf8_gets_an_answer_too(operated: Operated):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "--root", str(operated.layout.root), "pause", "--why", "Grüße"],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "applied" in done.stdout


def test_every_command_explains_itself_and_every_option_has_help():
    from typer.main import get_command

    def walk(command: object, name: str) -> list[str]:
        children = getattr(command, "commands", {})
        bare = [f"{name} {p.name}" for p in getattr(command, "params", []) if not getattr(p, "help", None)]
        bare = [line for line in bare if not line.endswith(" help")]
        own = [] if getattr(command, "help", None) else [name]
        return own + bare + [line for child, value in children.items() for line in walk(value, f"{name} {child}")]

    assert walk(get_command(application()), "cld") == []
