"""Makes a data root: its folders, a commented cld.toml, an empty database. Called by `cld init`.

Safe to repeat: what is there stays as it is.
"""

from __future__ import annotations

import os

from agent.errors import Refused
from agent.root.layout import Layout
from agent.root.settings_text import template

__all__ = ["found"]


def found(layout: Layout, *, dry_run: bool = False) -> list[str]:
    """Make what is missing of a data root.

    Returns:
        What was missing, e.g. ["folders", "cld.toml", "database"].

    Raises:
        Refused: the folder holds something else.
        ConfigError, StoreError: an existing cld.toml or database cannot be used.
    """
    if layout.root.is_dir() and not layout.config_file.exists() and any(layout.root.iterdir()):
        raise Refused(f"{str(layout.root)!r} holds other things; name a new or empty folder: `cld init FOLDER`")
    missing = [name for name, there in _parts(layout).items() if not there]
    if not dry_run:
        layout.create()
        if "cld.toml" in missing:
            _write_new(layout)
        _migrate(layout)
    return missing


def _parts(layout: Layout) -> dict[str, bool]:
    return {
        "folders": layout.inbox.is_dir() and layout.run.is_dir(),
        "cld.toml": layout.config_file.exists(),
        "database": layout.database.exists(),
    }


def _write_new(layout: Layout) -> None:
    descriptor = os.open(layout.config_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(template())


def _migrate(layout: Layout) -> None:
    from agent.root.settings import load
    from agent.root.stores import migrate, store_url
    from agent.store import Store

    migrate(layout, Store(store_url(layout, load(layout))))
