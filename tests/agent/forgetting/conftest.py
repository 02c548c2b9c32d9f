"""Worlds in which records were learned and may be forgotten; what all would wait for is done once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.forgetting.forget_world import IDS, Forgetful
from tests.agent.operating import Operated


@pytest.fixture
def world(operated: Operated) -> Forgetful:
    """`v0` serves, and nothing was learned yet."""
    return Forgetful(operated)


@pytest.fixture(scope="session")
def taught_root(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose `v1` has learned eight notes and serves, to copy from."""
    root = tmp_path_factory.mktemp("taught") / "root"
    shutil.copytree(served, root)
    world = Forgetful(Operated(root))
    assert world.teach(len(IDS)) == IDS
    world.world.store.close()
    return root


@pytest.fixture(scope="session")
def forgetful_root(taught_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose `v2` has forgotten the first of the eight notes and serves, to copy from."""
    root = tmp_path_factory.mktemp("forgetful") / "root"
    shutil.copytree(taught_root, root)
    world = Forgetful(Operated(root))
    world.forgotten(IDS[0])
    world.world.store.close()
    return root


@pytest.fixture
def taught(taught_root: Path, tmp_path: Path, _no_overrides: None) -> Iterator[Forgetful]:
    """`v1` has learned eight notes and serves."""
    yield from _copied(taught_root, tmp_path)


@pytest.fixture
def forgetful(forgetful_root: Path, tmp_path: Path, _no_overrides: None) -> Iterator[Forgetful]:
    """`v1` has learned eight notes; `v2`, which serves, has forgotten the first of them on request `f1`."""
    yield from _copied(forgetful_root, tmp_path)


def _copied(root: Path, folder: Path) -> Iterator[Forgetful]:
    shutil.copytree(root, folder / "root")
    world = Forgetful(Operated(folder / "root"))
    yield world
    world.world.store.close()
