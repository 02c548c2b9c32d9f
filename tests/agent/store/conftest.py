"""The smallest true worlds of the store: an empty one, and one where `v0` serves and is the anchor."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_world import walk_to

from agent.store import Store, deployment, versions


@pytest.fixture(autouse=True)
def _disk() -> None:
    """Commits wait for the disk, as those of the product do."""


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that was migrated once, to copy from."""
    path = tmp_path_factory.mktemp("migrated") / "cld.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture
def empty(migrated: Path, tmp_path: Path) -> Iterator[Store]:
    """A migrated store without a row."""
    path = tmp_path / "cld.db"
    shutil.copyfile(migrated, path)
    store = Store(f"sqlite:///{path}")
    yield store
    store.close()


@pytest.fixture
def store(empty: Store) -> Store:
    """A store where `v0` serves at generation 1 and is the anchor."""
    with empty.write() as tx:
        versions.register(tx, "v0", 0, None, None, "0" * 64, None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "first", "initial")
        versions.set_anchor(tx, "v0", "daemon", "the base")
    return empty


@pytest.fixture
def cycle_in(store: Store) -> Callable[[str], str]:
    """Makes a cycle in the named state; its candidate is `v<number>` once it was trained."""

    def make(state: str) -> str:
        with store.write() as tx:
            return walk_to(tx, state)

    return make
