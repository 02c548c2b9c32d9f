"""Worlds of the loop: what every test would have to wait for again is done once and copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.world import LOOSE, World, examples


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root on which the tiny model serves as v0, to copy from."""
    world = World(tmp_path_factory.mktemp("served") / "root")
    world.turn_until(world.serving)
    world.close()
    return world.layout.root


@pytest.fixture(scope="session")
def measured(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose first cycle has trained and measured v1 and is about to judge it, to copy from."""
    world = World(tmp_path_factory.mktemp("measured") / "root", served, **LOOSE)
    world.drop("examples.jsonl", examples())
    world.turn_until(lambda: world.states().get("c1") == "judging")
    world.close()
    return world.layout.root


@pytest.fixture
def make_world(tmp_path: Path, served: Path) -> Iterator[Callable[..., World]]:
    """Makes the test's world, with settings over the fast defaults; no worker of it outlives the test."""
    made: list[World] = []

    def make(copied: Path = served, **settings: object) -> World:
        made.append(World(tmp_path / "root", copied, **settings))
        return made[-1]

    yield make
    for world in made:
        world.close()
