"""The data root and store that the history's tests share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from history_world import turn

from agent.root.layout import Layout
from agent.store import Store, deployment, versions


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which all of the short history has happened, to copy from."""
    path = tmp_path_factory.mktemp("lived") / "cld.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    with store.write() as tx:
        versions.register(tx, "v0", 0, None, None, "0" * 64, None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "first", "initial")
        for version in ("v1", "v2", "v3"):
            turn(tx, version)
    store.close()
    return path


@pytest.fixture
def store(lived: Path, layout: Layout) -> Iterator[Store]:
    shutil.copyfile(lived, layout.database)
    store = Store(f"sqlite:///{layout.database}")
    yield store
    store.close()
