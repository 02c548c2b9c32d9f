"""Data roots for tests: founded once per test run, then copied."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import store
from agent.root.founding import found
from agent.root.layout import Layout
from agent.store import versions
from tests.agent.operating import Operated


@pytest.fixture(autouse=True)
def _disk() -> Iterator[None]:
    """No commit waits for the disk, which matters to power loss alone; in the store's own tests all do."""
    prepare = store._prepare_sqlite

    def prepared(connection: sqlite3.Connection, record: object) -> None:
        prepare(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_prepare_sqlite", prepared)
        yield


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root straight after `cld init`, to copy from."""
    folder = tmp_path_factory.mktemp("founded") / "root"
    found(Layout(folder))
    return folder


@pytest.fixture(scope="session")
def served(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root where `v0` is the anchor and serves at generation 1, to copy from."""
    root = tmp_path_factory.mktemp("served") / "root"
    shutil.copytree(founded, root)
    operated = Operated(root)
    operated.publish("v0", None)
    operated.serve("v0", "initial")
    with operated.store.write() as tx:
        versions.set_anchor(tx, "v0", "daemon", "the base")
    operated.store.close()
    return root


@pytest.fixture
def _no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("CLD_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def bare(founded: Path, tmp_path: Path, _no_overrides: None) -> Iterator[Operated]:
    """A data root straight after `cld init`."""
    yield from _copied(founded, tmp_path)


@pytest.fixture
def operated(served: Path, tmp_path: Path, _no_overrides: None) -> Iterator[Operated]:
    """A data root where `v0` is the anchor and serves at generation 1."""
    yield from _copied(served, tmp_path)


def _copied(root: Path, folder: Path) -> Iterator[Operated]:
    shutil.copytree(root, folder / "root")
    operated = Operated(folder / "root")
    yield operated
    operated.store.close()
