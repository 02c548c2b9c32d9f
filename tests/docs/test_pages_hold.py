"""Promises of every page that people wrote: the commands, options, keys, files and links they name are there."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.main import get_command

from agent.cli.main import application
from agent.config import Config
from learners.methods import methods

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "design").glob("*.md")]
COMMANDS: Any = get_command(application())
TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
CALL = re.compile(r"(?:^|[\s/;(])cld((?: -{1,2}[a-z][\w-]*| [^\s`#|>&]+)*)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PLACE = re.compile(r"`((?:agent|learners|monitors|benchmarks|tests|docs)/[\w./*-]+)`")
KEY = re.compile(r"\[([a-z]+(?:\.[a-z*]+)?)\] ([a-z]+(?:_[a-z]+)*)")


def calls(text: str) -> list[list[str]]:
    """Words after `cld` of every call in a fenced block or a code span."""
    code = [*FENCED.findall(text), *INLINE.findall(FENCED.sub("", text))]
    lines = [line.split("  #")[0] for piece in code for line in piece.replace("\\\n", " ").splitlines()]
    return [found.group(1).split() for line in lines for found in CALL.finditer(line)]


def unknown(words: list[str]) -> str | None:
    """What of a call the program does not know, if anything."""
    command, depth = COMMANDS, 0
    for word in words:
        if not hasattr(command, "commands") or not re.fullmatch(r"[a-z]+", word):
            break
        if word not in command.commands:
            return None if depth and getattr(command, "invoke_without_command", False) else f"no command {word!r}"
        command, depth = command.commands[word], depth + 1
    known = {option for parameter in [*COMMANDS.params, *command.params] for option in parameter.opts}
    return next((f"no option {word}" for word in words if word.startswith("--") and word not in known), None)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_gives_is_there_with_its_options(path: Path):
    wrong = {" ".join(words): why for words in calls(TEXTS[path]) if (why := unknown(words))}
    assert wrong == {}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_of_a_page_leads_somewhere(path: Path):
    assert [link for link in LINK.findall(TEXTS[path]) if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_file_that_a_page_names_is_there(path: Path):
    assert [place for place in PLACE.findall(TEXTS[path]) if not any(ROOT.glob(place))] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_key_that_a_page_names_is_one_of_the_configuration(path: Path):
    sections = set(Config.model_fields)
    named = [(section, key) for section, key in KEY.findall(TEXTS[path]) if section.split(".")[0] in sections]
    assert [f"[{section}] {key}" for section, key in named if key not in keys(section)] == []


def keys(section: str) -> set[str]:
    """Keys of a table of cld.toml; `training.*` are the keys of any stage."""
    first, _, rest = section.partition(".")
    field: Any = Config.model_fields[first]
    model: Any = field.annotation
    if rest and not hasattr(model, "model_fields"):
        model = model.__args__[1]
    elif rest:
        model = model.model_fields["cpt" if rest == "*" else rest].annotation
    elif not hasattr(model, "model_fields"):
        model = model.__args__[1]
    return set(model.model_fields)


def test_the_method_that_contributing_shows_is_one():
    (code,) = re.findall(r"^```python\n(.*?)^```$", TEXTS[ROOT / "CONTRIBUTING.md"], re.DOTALL | re.MULTILINE)
    module: dict[str, Any] = {"__name__": "shown"}
    exec(compile(code, "CONTRIBUTING.md", "exec"), module)
    recipe = module["compose"](SimpleNamespace(settings=module["Settings"](strength=0.5)))
    assert len(recipe.losses) == 1 and recipe.replay_share > 0


@pytest.mark.parametrize("page", ["README.md", "docs/choosing.md"])
def test_methods_that_a_page_counts_are_as_many_as_there_are(page: str):
    for count in re.findall(r"\b(\d+) methods\b", TEXTS[ROOT / page]):
        assert int(count) == len(methods())


@pytest.mark.parametrize(
    "text",
    [
        "`cld frobnicate`",
        "```toml\nx = 1\n```\n```sh\ncld cycle peel\n```",
        "`cld status --colour`",
        "`cld data fetch --lits`",
    ],
)
def test_a_planted_call_that_is_not_there_is_found(text: str):
    assert [why for words in calls(text) if (why := unknown(words))]
