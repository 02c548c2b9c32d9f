"""The data root and store that the history's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from history_world import turn

from agent.layout import Layout
from agent.store import Store, deployment, versions


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def store(layout: Layout) -> Iterator[Store]:
    store = Store(f"sqlite:///{layout.database}")
    store.migrate()
    with store.write() as tx:
        versions.register(tx, "v0", 0, None, None, "0" * 64, None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "first", "initial")
        for version in ("v1", "v2", "v3"):
            turn(tx, version)
    yield store
    store.close()
