"""A suite that is a task of lm-evaluation-harness: what a suite file may say of it, and what is refused.

    suite: grade-school
    role: target
    lm_eval: gsm8k            # name of a task, group or tag
    limit: 200                # only the first so many documents of each task
    num_fewshot: 8
    metric: exact_match,flexible-extract
    include_path: tasks       # a folder beside this file with YAML tasks and their data

Imports neither the harness nor torch: the daemon reads suites with it, workers load the tasks
(`monitors.harness.items`). Tasks in a folder of one's own are data: a file that names Python code is refused here,
before the harness sees it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import Field, ValidationError

from monitors.probes.harness_listing import listed
from monitors.probes.probe import Entry, Probe
from monitors.probes.suite import Suite, SuiteError

__all__ = ["INSTALL", "PREFIX", "HarnessSuite", "entry_file", "read_harness_suite"]

PREFIX = "lm_eval: "
"""What an entry of [probes] suites begins with that names a task instead of a suite file."""

INSTALL = "pip install -c constraints.txt -e '.[lm-eval]'"
MAX_FOLDER_BYTES = 200_000_000
_CODE_KEYS = frozenset({"class", "hf_evaluate", "custom_dataset"})


class HarnessSuite(Suite, frozen=True):
    """A named task of the harness with a role; workers alone can load its items.

    Attributes:
        lm_eval: name of a task, group or tag of the harness, or of a task in `include_path`.
        limit: most documents of each task; None: all.
        num_fewshot: worked examples before each question; None: as the task says.
        metric: which of the task's metrics is the score, with its filter after a comma where there are several; None:
            the first that judges answers, or else a likelihood. It must be a number in [0, 1] for one document, higher
            being better.
        include_path: name of a folder beside the suite file.
        folder: where that folder lies; no part of the suite's identity.
        files: SHA-256 of each file in it, by relative path.
        harness: version of the package lm-eval.
        listed: its items, where a worker has listed them (`monitors.probes.harness_listing`); no part of its identity.
    """

    items: tuple[Probe, ...] = Field(default=(), max_length=0)
    lm_eval: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$")
    limit: int | None = Field(default=None, ge=1)
    num_fewshot: int | None = Field(default=None, ge=0, le=100)
    metric: str | None = Field(default=None, pattern=r"^[a-z0-9_@-]+(,[A-Za-z0-9_-]+)?$")
    include_path: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    folder: Path | None = None
    files: dict[str, str] = Field(default_factory=dict)
    harness: str = ""
    listed: tuple[Entry, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What a worker found in the task; none before one has."""
        return self.listed

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of what decides the scores, the harness's version included."""
        facts = self.model_dump(mode="json", exclude={"description", "folder", "items", "listed"}, exclude_none=True)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def read_harness_suite(path: Path, header: dict[str, Any]) -> HarnessSuite:
    """Make a suite of the keys of its file.

    Raises:
        SuiteError: lm-eval is not installed, a key is wrong, or the folder of tasks names code.
    """
    folder = path.parent / str(header["include_path"]) if "include_path" in header else None
    given = {"folder", "files", "harness", "items", "listed"} & header.keys()
    if given:
        raise SuiteError(f"{path.name}: {', '.join(sorted(given))} cannot be given beside lm_eval")
    try:
        suite = HarnessSuite(**header, folder=folder, harness=_harness_version(path))
    except ValidationError as error:
        problems = [f"{path.name}: key {'.'.join(map(str, e['loc']))!r}: {e['msg']}" for e in error.errors()]
        raise SuiteError("\n".join(problems)) from None
    if folder is not None:
        suite = suite.model_copy(update={"files": dict(_checked_files(folder, path))})
    return suite.model_copy(update={"listed": listed(path.parent, suite.suite, suite.digest)})


def entry_file(entry: str, folder: Path) -> Path:
    """The suite file that the entry "lm_eval: NAME" of [probes] suites stands for: the whole task, role `general`.

    It is written into `folder` where it is missing, and kept as it is where an operator has changed it.
    """
    name = entry.removeprefix(PREFIX)
    suite = f"lm-eval-{re.sub('[^a-z0-9]+', '-', name.lower())}"[:64]
    path = folder / f"{suite}.yaml"
    if not path.exists():
        path.write_text(f"suite: {suite}\nrole: general\nlm_eval: {name}\n", encoding="utf-8")
    return path


def _harness_version(path: Path) -> str:
    try:
        return importlib.metadata.version("lm-eval")
    except importlib.metadata.PackageNotFoundError:
        raise SuiteError(f"{path.name}: a task of lm-evaluation-harness needs the package lm-eval: {INSTALL}") from None


def _checked_files(folder: Path, suite: Path) -> Iterator[tuple[str, str]]:
    if not folder.is_dir():
        raise SuiteError(f"{suite.name}: include_path names {folder.name!r}, which is no folder beside the suite file")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    size_bytes = sum(path.stat().st_size for path in paths)
    if size_bytes > MAX_FOLDER_BYTES:
        raise SuiteError(f"{suite.name}: {folder.name!r} holds {size_bytes} bytes, at most {MAX_FOLDER_BYTES} are read")
    for path in paths:
        if path.suffix in {".yaml", ".yml"}:
            _refuse_code(path)
        yield path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()


def _refuse_code(path: Path) -> None:
    """Refuse a task file that would make the harness import something."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise SuiteError(
            f"{path.name}: no plain YAML ({error}); a task of your own is data, so `!function` is refused: use "
            "templates and the harness's own metrics and filters"
        ) from error
    for key, value in _pairs(content):
        if key in _CODE_KEYS:
            raise SuiteError(f"{path.name}: key {key!r} names Python code, and a task of your own is data; remove it")
        if key == "include" and not _is_beside(path, value):
            raise SuiteError(f"{path.name}: include names {value!r}; it must be a file in the same folder")


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value in a nested mapping."""
    if isinstance(value, dict):
        for key, inner in cast(dict[Any, Any], value).items():
            yield str(key), inner
            yield from _pairs(inner)
    elif isinstance(value, list):
        for inner in cast(list[Any], value):
            yield from _pairs(inner)


def _is_beside(path: Path, included: Any) -> bool:
    names = cast(list[Any], included) if isinstance(included, list) else [included]
    return all(isinstance(name, str) and Path(name).name == name and (path.parent / name).is_file() for name in names)
