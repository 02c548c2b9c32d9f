"""The configuration as text: the commented cld.toml that `cld init` writes, and docs/configuration.md.

Owns the wording around the keys; everything about a key comes from its field in `agent.config`, so the two pages
cannot drift from the program. Called by `cld init` and docs/generate.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent.config import Config, Source

__all__ = ["reference", "template"]

_WIDTH = 100

_TEMPLATE_HEAD = """\
# Configuration of this cld data root.
# Every key stands here with its default; take the '#' away to change it. Check with `cld config check`.
# The environment wins over this file (CLD_CYCLE__MIN_RECORDS=20), flags win over both
# (`cld start --set cycle.min_records=20`). A running daemon reads it when it starts again.
"""

_REFERENCE_HEAD = """\
# Configuration

<!-- Written by docs/generate.py from agent/config: change the field descriptions there. -->

`ROOT/cld.toml` is read first; the environment wins over it (`CLD_SECTION__KEY`, e.g. `CLD_CYCLE__MIN_RECORDS=20`;
lists and tables as JSON), and flags win over both (`--set cycle.min_records=20`). An unknown key or a wrong value stops
the command with exit code 78, and the message names all of them with the line and the rule. `cld config check` reads
without starting anything; `cld config show` prints what holds. A running daemon reads the file when it starts again.

Units stand in the names: `_seconds`, `_bytes`, `_tokens`, `_nats`, `_kwh`.
"""


@dataclass(frozen=True)
class _Key:
    """One key of a table: what the two pages say about it."""

    name: str
    kind: str
    default: str
    bounds: str
    description: str


@dataclass(frozen=True)
class _Table:
    """One table; an example stands in cld.toml as a comment, header and all: its name is the reader's to choose."""

    header: str
    introduction: str
    keys: tuple[_Key, ...]
    example: bool = False


def template() -> str:
    """The commented cld.toml: every key with its default, the meaning above it."""
    return _TEMPLATE_HEAD + "".join(_toml(table) for table in _tables())


def reference() -> str:
    """docs/configuration.md."""
    return _REFERENCE_HEAD + "".join(_markdown(table) for table in _tables())


def _toml(table: _Table) -> str:
    header, mark = (f"# [{table.header}]", "# ") if table.example else (f"[{table.header}]", "#")
    lines = ["", *(f"# {line}" for line in wrap(table.introduction, _WIDTH)), header]
    for key in table.keys:
        bounds = f" ({key.bounds})" if key.bounds else ""
        lines += [f"# {line}" for line in wrap(key.description + bounds, _WIDTH)]
        lines.append(f"{mark}{key.name} = {key.default or '(unset)'}")
    return "\n".join(lines) + "\n"


def _markdown(table: _Table) -> str:
    rows = [
        f"| `{key.name}` | {key.kind} | {f'`{key.default}`' if key.default else 'unset'} | {key.bounds} "
        f"| {key.description.replace('|', chr(92) + '|')} |\n"
        for key in table.keys
    ]
    head = "| key | type | default | bounds | meaning |\n|---|---|---|---|---|\n"
    return f"\n## [{table.header}]\n\n{table.introduction}\n\n{head}{''.join(rows)}"


def _tables() -> Iterator[_Table]:
    for name, field in Config.model_fields.items():
        if name == "sources":
            yield _table("sources.inbox", Source, Source(), _introduction(Source))
        else:
            default = field.get_default()
            yield from _nested(name, type(default), default, _introduction(type(default)))


def _nested(header: str, model: type[BaseModel], value: BaseModel, introduction: str) -> Iterator[_Table]:
    yield _table(header, model, value, introduction)
    for name, field in model.model_fields.items():
        inner = getattr(value, name)
        if isinstance(inner, BaseModel):
            yield from _nested(f"{header}.{name}", type(inner), inner, field.description or "")
        elif (of_each := _section_of_each(field.annotation)) is not None:
            keys = _table(f"{header}.{name}.mine", of_each, of_each(), field.description or "")
            yield replace(keys, example=True)


def _table(header: str, model: type[BaseModel], value: BaseModel, introduction: str) -> _Table:
    keys = tuple(
        _key(name, field, getattr(value, name))
        for name, field in model.model_fields.items()
        if not isinstance(getattr(value, name), BaseModel) and _section_of_each(field.annotation) is None
    )
    return _Table(header, introduction, keys)


def _section_of_each(annotation: Any) -> type[BaseModel] | None:
    """The model of each table in an annotation such as `dict[SuiteName, SuiteGate]`."""
    last = get_args(annotation)[-1] if get_origin(annotation) is dict else None
    return last if isinstance(last, type) and issubclass(last, BaseModel) else None


def _introduction(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _key(name: str, field: FieldInfo, default: Any) -> _Key:
    return _Key(name, _kind(field.annotation), _literal(default), _bounds(field.metadata), field.description or "")


def _literal(value: Any) -> str:
    """A default as TOML writes it; empty for an unset key."""
    if value is None:
        return ""
    if isinstance(value, Path):
        return json.dumps(value.as_posix())
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000:
        return f"{value:_}"
    return json.dumps(value)


def _kind(annotation: Any) -> str:
    """A type in words: `integer`, `text`, `"a" or "b"`, `list of text`."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " or ".join(f'`"{choice}"`' for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"list of {_kind(get_args(annotation)[0])}"
    if parts := [part for part in get_args(annotation) if part not in (NoneType, Ellipsis)]:
        return " or ".join(map(_kind, parts))
    return {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path"}[annotation]


_SIGNS = {Ge: ("ge", "at least"), Gt: ("gt", "above"), Le: ("le", "at most"), Lt: ("lt", "below")}


def _bounds(metadata: list[Any]) -> str:
    words: list[str] = []
    for rule in metadata:
        if isinstance(rule, MinLen):
            words.append("not empty")
        elif type(rule) in _SIGNS:
            attribute, sign = _SIGNS[type(rule)]
            words.append(f"{sign} {_literal(getattr(rule, attribute))}")
    return ", ".join(words)
