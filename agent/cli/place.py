"""Where a command works and who gave it: the data root, its configuration and its store, each opened when asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.root.layout import Layout, discover

if TYPE_CHECKING:
    from agent.config import Config
    from agent.store import Store

__all__ = ["DryRun", "Json", "Limit", "Place", "Set", "Why", "here"]

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, change nothing.")]
Why = Annotated[str, typer.Option("--why", help="Reason, kept in the history.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Most rows.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of cld.toml.")]


@dataclass
class Place:
    """What the options before the command said.

    Attributes:
        root: value of --root, None when not given.
        who: value of --as, else the name of the operating system's user.
    """

    root: Path | None
    who: str
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def named(self) -> bool:
        """Whether a data root was asked for, by --root or by CLD_ROOT."""
        return self.root is not None or bool(os.environ.get("CLD_ROOT"))

    @cached_property
    def layout(self) -> Layout:
        """The data root. Raises `NoDataRoot`."""
        return discover(self.root, os.environ)

    @cached_property
    def config(self) -> Config:
        """The configuration that holds. Raises `ConfigError`."""
        from agent.root.settings import load

        return load(self.layout, self.flags)

    @cached_property
    def store(self) -> Store:
        """The database, at the schema of this code. Raises `StoreError`."""
        from agent.root.stores import open_store

        return open_store(self.layout, self.config)


def here(context: typer.Context) -> Place:
    """The place of the running command."""
    place = context.obj
    if not isinstance(place, Place):
        raise TypeError("commands run below the application's callback, which makes the place")
    return place
