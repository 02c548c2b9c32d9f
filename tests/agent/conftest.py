"""Data roots for tests: founded once per test run, then copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.founding import found
from agent.layout import Layout
from agent.store import versions
from tests.agent.operating import Operated


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root straight after `cld init`, to copy from."""
    folder = tmp_path_factory.mktemp("founded") / "root"
    found(Layout(folder))
    return folder


@pytest.fixture
def bare(founded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operated]:
    """A data root straight after `cld init`."""
    for name in [name for name in os.environ if name.upper().startswith("CLD_")]:
        monkeypatch.delenv(name)
    root = tmp_path / "root"
    shutil.copytree(founded, root)
    operated = Operated(root)
    yield operated
    operated.store.close()


@pytest.fixture
def operated(bare: Operated) -> Operated:
    """A data root where `v0` is the anchor and serves at generation 1."""
    bare.publish("v0", None)
    bare.serve("v0", "initial")
    with bare.store.write() as tx:
        versions.set_anchor(tx, "v0", "daemon", "the base")
    return bare
