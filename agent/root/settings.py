"""Reads the configuration of a data root and says everything that is wrong with it at once.

Owns the order of precedence, the naming of where a wrong value came from (file and line, environment variable or
flag), and the suggestion for an unknown key. The keys themselves are `agent.config`'s. Called by the CLI and the
daemon.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsConfigDict

from agent.config import Config
from agent.errors import ConfigError
from learners.nearest import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from agent.root.layout import Layout

__all__ = ["load", "parse_flags", "show"]

_PREFIX = "CLD_"


def load(layout: Layout, flags: Mapping[str, Any] | None = None) -> Config:
    """Read cld.toml, the environment and the flags of a data root.

    Args:
        layout: the data root.
        flags: values by dotted key, as `parse_flags` returns them; they win over everything.

    Raises:
        ConfigError: anything is wrong; its `problems` name every wrong value, where it stands and the rule.
    """
    text = _read(layout)
    flags = flags or {}

    class _Sourced(Config):
        model_config = SettingsConfigDict(toml_file=layout.config_file)

    try:
        config = _Sourced(**_nest(flags))
    except ValidationError as error:
        problems = [_sentence(detail, text, flags) for detail in error.errors()]
        raise ConfigError(*_stray_environment(), *problems) from None
    if stray := _stray_environment():
        raise ConfigError(*stray)
    return config


def parse_flags(values: Iterable[str]) -> dict[str, Any]:
    """Turn `section.key=value` into values by dotted key; a value is TOML where it can be, else a string.

    Raises:
        ConfigError: a flag has no '=' or no key.
    """
    flags: dict[str, Any] = {}
    for flag in values:
        key, equals, value = flag.partition("=")
        if not equals or not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", key):
            raise ConfigError(f"--set {flag!r} is not section.key=value, e.g. --set cycle.min_records=20")
        try:
            flags[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            flags[key] = value
    return flags


def _read(layout: Layout) -> str:
    try:
        text = layout.config_file.read_text(encoding="utf-8")
        tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{layout.config_file}: {error}; correct it and run `cld config check`") from None
    return text


def _nest(flags: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flags.items():
        *sections, last = key.split(".")
        table = tree
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value
    return tree


def _sentence(detail: ErrorDetails, text: str, flags: Mapping[str, Any]) -> str:
    path = tuple(str(part) for part in detail["loc"] if part != "[key]")
    where = _where(path, text, flags)
    key = ".".join(path)
    if detail["type"] == "extra_forbidden":
        return f"{where}: {key!r} is no key of cld{_suggestion(path)}"
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    shown = "" if isinstance(value, dict) else f" = {value!r:.80}"
    return f"{where}: {key}{shown}: {message[:1].lower()}{message[1:]}"


def _where(path: tuple[str, ...], text: str, flags: Mapping[str, Any]) -> str:
    if any(path[: len(key)] == key for key in (tuple(flag.split(".")) for flag in flags)):
        return f"--set {'.'.join(path)}"
    for length in range(len(path), 1, -1):
        variable = _PREFIX + "__".join(path[:length]).upper()
        if match := next((name for name in os.environ if name.upper() == variable), None):
            return f"environment {match}"
    line = _line(path, text)
    return f"cld.toml line {line}" if line else "cld.toml"


def _line(path: tuple[str, ...], text: str) -> int | None:
    """Line of the deepest part of `path` that the file names: its key, else its table's header."""
    table: tuple[str, ...] = ()
    best, best_depth = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = found = _parts(header[1])
        elif key := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            found = (*table, *_parts(key[1]))
        else:
            continue
        if path[: len(found)] == found and len(found) > best_depth:
            best, best_depth = number, len(found)
    return best


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip(" \"'") for part in dotted.split("."))


def _suggestion(path: tuple[str, ...]) -> str:
    known = _keys_of(path[:-1])
    near = nearest(path[-1], known)
    if near:
        return f"; did you mean {'.'.join((*path[:-1], near[0]))!r}?"
    elsewhere = [key for key in _all_keys(Config, ()) if key.rpartition(".")[2] == path[-1]]
    if elsewhere:
        return f"; did you mean {elsewhere[0]!r}?"
    return f"; known here: {', '.join(known)}"


def _keys_of(path: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in path:
        field = model.model_fields.get(part)
        model = _model_in(field.annotation if field else None) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section model of an annotation such as `Gate` or `dict[str, Source]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (dict, Union, UnionType):
        return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
    return None


def _all_keys(model: type[BaseModel], prefix: tuple[str, ...]) -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        keys += _all_keys(inner, (*prefix, name)) if inner else [".".join((*prefix, name))]
    return keys


def _stray_environment() -> list[str]:
    """Variables that look like keys of a section that does not exist: pydantic-settings passes over them."""
    problems: list[str] = []
    for name in sorted(os.environ):
        section, separator, _ = name.upper().removeprefix(_PREFIX).partition("__")
        if name.upper().startswith(_PREFIX) and separator and section.lower() not in Config.model_fields:
            hint = _suggestion((section.lower(),))
            problems.append(f"environment {name}: {section.lower()!r} is no section of cld{hint}")
    return problems


def show(config: Config) -> dict[str, Any]:
    """The effective configuration as plain JSON values."""
    return json.loads(config.model_dump_json())
