"""The files of suites: named sets of probes with a role, read from YAML or JSON lines.

Owns the file format and its errors; never scores anything. Called by the daemon (what suites there are), by
`monitors.measure` and by the gap finder, which writes suites of its own with `write_suite`.

A YAML suite is one mapping; a JSON-lines suite has the same keys without `items` in its first line, then one item a
line:

    suite: returns-policy
    role: target
    items:
      - {id: window, scorer: match, mode: number, prompt: How many days may I return a kettle?, answer: "45"}
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from learners.nearest import did_you_mean
from monitors.probes.harness_listing import copy_listing
from monitors.probes.harness_suite import HarnessSuite, read_harness_suite
from monitors.probes.probe import Probe
from monitors.probes.scorers import SCORERS
from monitors.probes.suite import Suite, SuiteError

__all__ = ["Probe", "Suite", "SuiteError", "copy_suite", "load_suite", "read_probe", "shipped_suites", "write_suite"]

MAX_SUITE_BYTES = 20_000_000
MAX_PROBLEMS = 10


def shipped_suites() -> dict[str, Path]:
    """The suites that come with cld, by name."""
    folder = Path(__file__).parent.parent / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_suite(path: Path) -> Suite:
    """Read a suite; `.jsonl` files are JSON lines, all others YAML.

    Raises:
        SuiteError: the file is missing, too large, no suite, or has problems; all are listed.
    """
    header, items = _read_lines(path) if path.suffix == ".jsonl" else _read_yaml(path)
    if "lm_eval" in header and not items:
        return read_harness_suite(path, header)
    problems: list[str] = []
    probes: list[Probe] = []
    for number, item in enumerate(items, start=1):
        try:
            probes.append(read_probe(item))
        except SuiteError as error:
            problems += [f"{_item_name(item, number)}: {line}" for line in str(error).splitlines()]
    problems += [_unknown(key, _HEADER) for key in header if key not in _HEADER]
    if problems:
        raise _suite_error(path, problems)
    try:
        return Suite(items=tuple(probes), **header)
    except ValidationError as error:
        raise _suite_error(path, list(_lines_of(error))) from None


def read_probe(item: object) -> Probe:
    """Make one probe of a mapping as it stands in a suite file.

    Raises:
        SuiteError: one line for each problem.
    """
    if not isinstance(item, dict):
        raise SuiteError(f"an item is a mapping of keys to values, not {item!r:.80}")
    keys = cast(dict[str, Any], item)
    scorer = keys.get("scorer")
    if not isinstance(scorer, str) or scorer not in SCORERS:
        hint = did_you_mean(str(scorer), SCORERS, f"legal: {', '.join(SCORERS)}")
        raise SuiteError(f"key 'scorer' is {scorer!r}, {hint}")
    kind = SCORERS[scorer]
    try:
        return kind.model_validate(keys, context=read_probe)
    except ValidationError as error:
        raise SuiteError("\n".join(_lines_of(error, kind.model_fields))) from None


def copy_suite(path: Path, folder: Path) -> Path:
    """Copy a suite file, the folder of tasks that it names and the list of its items into `folder`."""
    suite = load_suite(path)
    if isinstance(suite, HarnessSuite):
        copy_listing(path.parent, folder, suite.suite)
        if suite.folder is not None:
            shutil.copytree(suite.folder, folder / suite.folder.name, dirs_exist_ok=True)
    return Path(shutil.copy(path, folder))


def write_suite(path: Path, suite: Suite) -> None:
    """Write a suite so that `load_suite` reads an equal one: YAML, or JSON lines where the name ends in `.jsonl`."""
    facts = suite.model_dump(mode="json", exclude_defaults=True)
    items = [{"scorer": probe.scorer, **fact} for fact, probe in zip(facts.pop("items"), suite.items, strict=True)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (facts, *items)))
    else:
        content = {**facts, "items": items}
        path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120))


_HEADER = tuple(name for name in Suite.model_fields if name != "items")


class _StrictLoader(yaml.CSafeLoader):
    """YAML without repeated keys: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if isinstance(key, str) and keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_SUITE_BYTES:
            raise SuiteError(f"{path.name}: {path.stat().st_size} bytes, a suite has at most {MAX_SUITE_BYTES}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path.name}: cannot be read: {error}") from error


def _read_yaml(path: Path) -> tuple[dict[str, Any], list[object]]:
    try:
        # A subclass of CSafeLoader: plain values only, no objects are built.
        content = yaml.load(_read_text(path), Loader=_StrictLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as error:
        raise SuiteError(f"{path.name}: no valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise SuiteError(f"{path.name}: a suite is a mapping with the keys {', '.join(Suite.model_fields)}")
    header = {str(key): value for key, value in cast(dict[Any, Any], content).items()}
    items = header.pop("items", [])
    if not isinstance(items, list):
        raise SuiteError(f"{path.name}: key 'items' holds a list of items, not {items!r:.80}")
    return header, cast(list[object], items)


def _read_lines(path: Path) -> tuple[dict[str, Any], list[object]]:
    values: list[Any] = []
    # Not splitlines: JSON leaves characters such as U+2028, which it takes for line ends, as they are.
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise SuiteError(f"{path.name}, line {number}: no valid JSON: {error}") from error
    if not values or not isinstance(values[0], dict) or "suite" not in values[0]:
        raise SuiteError(f'{path.name}: the first line names the suite, e.g. {{"suite": "mine", "role": "target"}}')
    return cast(dict[str, Any], values[0]), values[1:]


def _item_name(item: object, number: int) -> str:
    name = cast(dict[str, object], item).get("id") if isinstance(item, dict) else None
    return f"item {name!r} (number {number})" if name else f"item number {number}"


def _unknown(key: str, legal: Sequence[str]) -> str:
    hint = did_you_mean(key, legal, f"legal: {', '.join(legal)}")
    return f"unknown key {key!r}, {hint}"


def _lines_of(error: ValidationError, legal: Iterable[str] = ()) -> Iterator[str]:
    for problem in error.errors():
        yield _line(problem, list(legal))


def _line(problem: ErrorDetails, legal: list[str]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _unknown(key, legal)
    if problem["type"] == "missing":
        return f"key {key!r} is missing"
    rule = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in {"string_type", "string_unicode"}:
        rule = "must be a text; put it in quotes"
    return f"key {key!r} is {problem['input']!r:.80}: {rule}" if key else rule


def _suite_error(path: Path, problems: list[str]) -> SuiteError:
    more = [f"... and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
    return SuiteError("\n".join(f"{path.name}: {line}" for line in problems[:MAX_PROBLEMS] + more))
